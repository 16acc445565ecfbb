/** The sample of the received media. */
import { max, mean, sum, without } from './numbers.js';
import type { Interval } from './reading.js';
import { pairRoundTrip } from './round-trip.js';
import type { Measurement } from './sample.js';
import { numberOf, ofType } from './stats.js';
import { jitterOf, largestVideo, ofKind } from './streams.js';

export function inboundMeasurement(interval: Interval): Measurement | undefined {
  const { stats } = interval;
  const streams = ofType(stats, 'inbound-rtp');
  if (streams.length === 0) return undefined;
  const increases = (name: string) => interval.increases(streams, name);
  // Jitter and audio level of a muted stream stay constant.
  const flowing = streams.filter((stream) => (interval.increase(stream, 'packetsReceived') ?? 0) > 0);
  const video = largestVideo(ofKind(stats, flowing, 'video'));
  const remoteRoundTrips = ofType(stats, 'remote-outbound-rtp').map((remote) => numberOf(remote, 'roundTripTime'));
  return {
    direction: 'inbound',
    roundTripTime: pairRoundTrip(stats) ?? mean(remoteRoundTrips),
    jitter: jitterOf(stats, flowing),
    packetsLost: sum(increases('packetsLost')),
    packetsReceived: sum(increases('packetsReceived')),
    freezeCount: sum(increases('freezeCount')),
    totalFreezesDuration: max(increases('totalFreezesDuration')),
    frameWidth: numberOf(video, 'frameWidth'),
    frameHeight: numberOf(video, 'frameHeight'),
    framesPerSecond: numberOf(video, 'framesPerSecond'),
    bitrate: interval.bitrate(sum(increases('bytesReceived'))),
    audioLevel: max(flowing.map((stream) => numberOf(stream, 'audioLevel'))),
    // Concealed silence is not a gap.
    concealedSamples: without(sum(increases('concealedSamples')), sum(increases('silentConcealedSamples'))),
    totalSamplesReceived: sum(increases('totalSamplesReceived')),
  };
}
