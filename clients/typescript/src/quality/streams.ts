/** The streams of one direction, by their kind. */
import { kindOf, type Kind } from './kind.js';
import { mean } from './numbers.js';
import { numberOf, type Stat, type Stats } from './stats.js';

/** The streams of a kind. */
export function ofKind(stats: Stats, streams: readonly Stat[], kind: Kind): Stat[] {
  return streams.filter((stream) => kindOf(stats, stream) === kind);
}

/** The jitter of the audio in seconds; without audio, that of the video or of the streams of an unknown kind. */
export function jitterOf(stats: Stats, streams: readonly Stat[]): number | undefined {
  const jitter = (some: readonly Stat[]) => mean(some.map((stream) => numberOf(stream, 'jitter')));
  return jitter(ofKind(stats, streams, 'audio')) ?? jitter(ofKind(stats, streams, 'video')) ?? jitter(streams);
}

/** The video with the most lines. */
export function largestVideo(videos: readonly Stat[]): Stat | undefined {
  const height = (video: Stat) => numberOf(video, 'frameHeight') ?? 0;
  return [...videos].sort((a, b) => height(b) - height(a))[0];
}
