/** The sample of the received media. */
import { audioCodecOf, fecOf, videoCodecOf } from './codecs.js';
import { max, mean, quotient, sum, without } from './numbers.js';
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
  const audios = ofKind(stats, streams, 'audio');
  const audio = ofKind(stats, flowing, 'audio')[0];
  const audioIncreases = (name: string) => interval.increases(audios, name);
  const videoIncreases = (name: string) => interval.increases(ofKind(stats, streams, 'video'), name);
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
    concealmentEvents: sum(increases('concealmentEvents')),
    // The counter is the sum of the delays of all emitted samples.
    jitterBufferDelay: quotient(
      sum(audioIncreases('jitterBufferDelay')),
      sum(audioIncreases('jitterBufferEmittedCount')),
    ),
    audioCodec: audioCodecOf(stats, audio),
    fecEnabled: fecOf(stats, audio),
    audioPacketsLost: sum(audioIncreases('packetsLost')),
    audioPacketsReceived: sum(audioIncreases('packetsReceived')),
    videoCodec: videoCodecOf(stats, video),
    videoBitrate: interval.bitrate(sum(videoIncreases('bytesReceived'))),
  };
}
