/** The sample of the sent media, as the receiver reports it. */
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
  const lost = sum(interval.increases(remotes, 'packetsLost'));
  const packets = without(
    sum(interval.increases(streams, 'packetsSent')),
    sum(interval.increases(streams, 'retransmittedPacketsSent')),
  );
  // The SDK pauses layers of the video that no receiver watches.
  const videos = ofKind(stats, streams, 'video').filter((stream) => flagOf(stream, 'active') !== false);
  const sentVideo = largestVideo(videos.filter(isFlowing));
  return {
    direction: 'outbound',
    roundTripTime: mean(flowingRemotes.map((remote) => numberOf(remote, 'roundTripTime'))) ?? pairRoundTrip(stats),
    jitter: jitterOf(stats, flowingRemotes),
    packetsLost: lost,
    packetsReceived: lost === undefined ? undefined : without(packets, lost),
    fractionLost: lost === undefined ? mean(flowingRemotes.map((remote) => numberOf(remote, 'fractionLost'))) : undefined,
    frameWidth: numberOf(sentVideo, 'frameWidth'),
    frameHeight: numberOf(sentVideo, 'frameHeight'),
    framesPerSecond: numberOf(sentVideo, 'framesPerSecond'),
    bitrate: interval.bitrate(sum(interval.increases(streams, 'bytesSent'))),
    qualityLimitationReason: textOf(sentVideo ?? largestVideo(videos), 'qualityLimitationReason'),
  };
}

/** The sent stream of a receiver's report: by its id, by the reference of the stream, or by the SSRC. */
function localStream(stats: Stats, streams: readonly Stat[], remote: Stat): Stat | undefined {
  const named = stats.get(textOf(remote, 'localId') ?? '');
  if (named) return named;
  const referring = streams.find((stream) => textOf(stream, 'remoteId') === remote.id);
  return referring ?? streams.find((stream) => remote.ssrc !== undefined && stream.ssrc === remote.ssrc);
}
