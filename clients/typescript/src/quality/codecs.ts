/** The codecs of streams. */
import type { Sample } from './sample.js';
import { textOf, type Stat, type Stats } from './stats.js';

export type AudioCodec = NonNullable<Sample['audioCodec']>;
export type VideoCodec = NonNullable<Sample['videoCodec']>;

const AUDIO_CODECS: readonly AudioCodec[] = ['opus', 'red', 'pcmu', 'pcma', 'g722'];
const VIDEO_CODECS: readonly VideoCodec[] = ['vp8', 'vp9', 'h264', 'h265', 'av1'];

function codecOf(stats: Stats, stream: Stat | undefined): Stat | undefined {
  return stats.get(textOf(stream, 'codecId') ?? '');
}

/** The subtype of the media type: `opus` of `audio/opus`. */
function nameOf(codec: Stat | undefined): string | undefined {
  return textOf(codec, 'mimeType')?.toLowerCase().split('/')[1];
}

export function audioCodecOf(stats: Stats, stream: Stat | undefined): AudioCodec | undefined {
  const name = nameOf(codecOf(stats, stream));
  return name === undefined ? undefined : (AUDIO_CODECS.find((codec) => codec === name) ?? 'other');
}

export function videoCodecOf(stats: Stats, stream: Stat | undefined): VideoCodec | undefined {
  const name = nameOf(codecOf(stats, stream));
  return name === undefined ? undefined : (VIDEO_CODECS.find((codec) => codec === name) ?? 'other');
}

/** Whether Opus has its forward error correction (RFC 7587); missing for other codecs and without parameters. */
export function fecOf(stats: Stats, stream: Stat | undefined): boolean | undefined {
  const codec = codecOf(stats, stream);
  const parameters = textOf(codec, 'sdpFmtpLine');
  if (nameOf(codec) !== 'opus' || parameters === undefined) return undefined;
  return /(?:^|[;\s])useinbandfec=1(?:$|[;\s])/.test(parameters);
}
