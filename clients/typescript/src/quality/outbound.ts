/** The sample of the sent media, as the receiver reports it. */
import { audioCodecOf, fecOf, videoCodecOf } from './codecs.js';
import { mean, sum, without } from './numbers.js';
import type { Interval } from './reading.js';
import { pairRoundTrip } from './round-trip.js';
import type { Measurement } from './sample.js';
import { flagOf, numberOf, ofType, textOf, type Stat, type Stats } from './stats.js';
import { jitterOf, largestVideo, ofKind } from './streams.js';

export function outboundMeasurement(interval: Interval): Measurement | undefined {
  const { stats } = interval;
  const streams = ofType(stats, 'outbound-rtp');
  if (streams.length === 0) return undefined;
  const isFlowing = (stream: Stat | undefined) => (interval.increase(stream, 'packetsSent') ?? 0) > 0;
  const remotes = ofType(stats, 'remote-inbound-rtp');
  const flowingRemotes = remotes.filter((remote) => isFlowing(localStream(stats, streams, remote)));
  const total = lossOf(interval, streams, remotes);
  const audios = ofKind(stats, streams, 'audio');
  const audio = audios.find(isFlowing);
  const audioLoss = lossOf(interval, audios, ofKind(stats, remotes, 'audio'));
  // The SDK pauses layers of the video that no receiver watches.
  const videos = ofKind(stats, streams, 'video').filter((stream) => flagOf(stream, 'active') !== false);
  const sentVideo = largestVideo(videos.filter(isFlowing));
  return {
    direction: 'outbound',
    roundTripTime: mean(flowingRemotes.map((remote) => numberOf(remote, 'roundTripTime'))) ?? pairRoundTrip(stats),
    jitter: jitterOf(stats, flowingRemotes),
    packetsLost: total.lost,
    packetsReceived: total.received,
    fractionLost: total.lost === undefined ? mean(flowingRemotes.map(fractionLost)) : undefined,
    frameWidth: numberOf(sentVideo, 'frameWidth'),
    frameHeight: numberOf(sentVideo, 'frameHeight'),
    framesPerSecond: numberOf(sentVideo, 'framesPerSecond'),
    bitrate: interval.bitrate(sum(interval.increases(streams, 'bytesSent'))),
    qualityLimitationReason: textOf(sentVideo ?? largestVideo(videos), 'qualityLimitationReason'),
    audioCodec: audioCodecOf(stats, audio),
    fecEnabled: fecOf(stats, audio),
    audioPacketsLost: audioLoss.lost,
    audioPacketsReceived: audioLoss.received,
    videoCodec: videoCodecOf(stats, sentVideo),
    videoBitrate: interval.bitrate(sum(interval.increases(ofKind(stats, streams, 'video'), 'bytesSent'))),
  };
}

const fractionLost = (remote: Stat) => numberOf(remote, 'fractionLost');

/** The packets that the receiver reports as lost, and the other ones without retransmissions. */
function lossOf(interval: Interval, streams: readonly Stat[], remotes: readonly Stat[]) {
  const lost = sum(interval.increases(remotes, 'packetsLost'));
  const sent = without(
    sum(interval.increases(streams, 'packetsSent')),
    sum(interval.increases(streams, 'retransmittedPacketsSent')),
  );
  return { lost, received: lost === undefined ? undefined : without(sent, lost) };
}

/** The sent stream of a receiver's report: by its id, by the reference of the stream, or by the SSRC. */
function localStream(stats: Stats, streams: readonly Stat[], remote: Stat): Stat | undefined {
  const named = stats.get(textOf(remote, 'localId') ?? '');
  if (named) return named;
  const referring = streams.find((stream) => textOf(stream, 'remoteId') === remote.id);
  return referring ?? streams.find((stream) => remote.ssrc !== undefined && stream.ssrc === remote.ssrc);
}
