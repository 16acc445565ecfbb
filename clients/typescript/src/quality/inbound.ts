/** The sample of the received media. */
import { audioCodecOf, fecOf, videoCodecOf } from './codecs.js';
import { max, mean, quotient, sum, without } from './numbers.js';
import type { Interval } from './reading.js';
import { pairRoundTrip } from './round-trip.js';
import type { Measurement } from './sample.js';
import { numberOf, ofType, type Stat } from './stats.js';
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
  const gaps = streams.map((stream) => gapsOf(interval, stream));
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
    concealedSamples: sum(gaps.map(({ samples }) => samples)),
    totalSamplesReceived: sum(increases('totalSamplesReceived')),
    concealmentEvents: sum(gaps.map(({ events }) => events)),
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

/**
 * The audible gaps of a stream. Concealed silence is not a gap. WebRTC has no counter of the silent events, so they
 * remain in `events` if the stream has audible gaps as well. The burst ratio of such a sample is too low.
 */
function gapsOf(interval: Interval, stream: Stat) {
  const increase = (name: string) => interval.increase(stream, name);
  const samples = without(increase('concealedSamples'), increase('silentConcealedSamples'));
  const events = increase('concealmentEvents');
  const isSilent = samples === 0 && events !== undefined;
  return { samples, events: isSilent ? 0 : events };
}
