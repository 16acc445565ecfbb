/** The kind of a stream, which not every platform reports. */
import { textOf, type Stat, type Stats } from './stats.js';

export type Kind = 'audio' | 'video';

/** Fields that only streams of one kind have. */
const AUDIO_FIELDS = ['audioLevel', 'totalAudioEnergy', 'totalSamplesReceived', 'concealedSamples'];
const VIDEO_FIELDS = [
  'frameWidth',
  'frameHeight',
  'framesPerSecond',
  'framesReceived',
  'framesDecoded',
  'framesEncoded',
  'framesSent',
  'freezeCount',
  'qualityLimitationReason',
  'keyFramesDecoded',
  'keyFramesEncoded',
];

/** The kind of a stream: as reported, of its codec or its other end, by its id, or by its fields. */
export function kindOf(stats: Stats, stat: Stat): Kind | undefined {
  return ownKind(stats, stat) ?? linkedKind(stats, stat);
}

function ownKind(stats: Stats, stat: Stat): Kind | undefined {
  const reported = textOf(stat, 'kind') ?? textOf(stat, 'mediaType');
  if (reported === 'audio' || reported === 'video') return reported;
  const codec = stats.get(textOf(stat, 'codecId') ?? '');
  return kindInText(textOf(codec, 'mimeType')) ?? kindInText(stat.id) ?? kindOfFields(stats, stat);
}

/** The kind of the report about the same stream, which the other end or the source has. */
function linkedKind(stats: Stats, stat: Stat): Kind | undefined {
  for (const name of ['localId', 'remoteId', 'mediaSourceId', 'trackId']) {
    const linked = stats.get(textOf(stat, name) ?? '');
    const kind = linked && ownKind(stats, linked);
    if (kind) return kind;
  }
  const { ssrc } = stat;
  if (ssrc === undefined || ssrc === null) return undefined;
  for (const other of stats.values()) {
    const kind = other !== stat && other.ssrc === ssrc ? ownKind(stats, other) : undefined;
    if (kind) return kind;
  }
  return undefined;
}

/** The kind in a media type such as `audio/opus`, or in an id such as `RTCRemoteInboundRtpAudioStream_1`. */
function kindInText(text: string | undefined): Kind | undefined {
  if (text === undefined) return undefined;
  if (/audio/i.test(text)) return 'audio';
  return /video/i.test(text) ? 'video' : undefined;
}

function kindOfFields(stats: Stats, stat: Stat): Kind | undefined {
  if (hasAny(stat, VIDEO_FIELDS)) return 'video';
  if (hasAny(stat, AUDIO_FIELDS)) return 'audio';
  // Sent audio has no field of its own. It is known if the platform reports such fields of the videos.
  const isBesideVideo = [...stats.values()].some((other) => other.type === stat.type && hasAny(other, VIDEO_FIELDS));
  return stat.type === 'outbound-rtp' && isBesideVideo ? 'audio' : undefined;
}

const hasAny = (stat: Stat, names: readonly string[]): boolean =>
  names.some((name) => stat[name] !== undefined && stat[name] !== null);
