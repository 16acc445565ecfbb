// Simulated networks. No media flows on the local stack, so a phone makes up what WebRTC's statistics
// would say on such a network, and reports it as an app does.

/** @typedef {'good' | 'fair' | 'poor' | 'off'} NetworkName */

/**
 * @typedef {object} Network
 * @property {string} label
 * @property {string} describes
 * @property {number} roundTripMillis
 * @property {number} jitterMillis
 * @property {number} lossPercent
 * @property {number} videoKbits
 * @property {[number, number]} frame
 * @property {number} framesPerSecond
 */

/** @type {Record<Exclude<NetworkName, 'off'>, Network>} */
export const NETWORKS = {
  good: {
    label: 'Good',
    describes: '60 ms round trip, 0.1 % loss, 720p',
    roundTripMillis: 60,
    jitterMillis: 5,
    lossPercent: 0.1,
    videoKbits: 1_600,
    frame: [1_280, 720],
    framesPerSecond: 30,
  },
  fair: {
    label: 'Fair',
    describes: '180 ms round trip, 2 % loss, 540p',
    roundTripMillis: 180,
    jitterMillis: 18,
    lossPercent: 2,
    videoKbits: 800,
    frame: [960, 540],
    framesPerSecond: 25,
  },
  poor: {
    label: 'Poor',
    describes: '360 ms round trip, 9 % loss, 360p, freezes',
    roundTripMillis: 360,
    jitterMillis: 42,
    lossPercent: 9,
    videoKbits: 250,
    frame: [640, 360],
    framesPerSecond: 14,
  },
};

const AUDIO_PACKETS_PER_SECOND = 50;
const VIDEO_PACKET_BITS = 9_600;
const AUDIO_KBITS = 32;

/** @param {number} value */
const vary = (value) => value * (0.85 + Math.random() * 0.3);

/** A whole number whose mean is the value. @param {number} value */
const draw = (value) => Math.floor(value) + (Math.random() < value % 1 ? 1 : 0);

/**
 * A sample of docs/QUALITY.md.
 *
 * @param {Exclude<NetworkName, 'off'>} name
 * @param {'inbound' | 'outbound'} direction
 * @param {number} timestamp
 * @param {number} seconds since the previous sample
 */
export function simulateSample(name, direction, timestamp, seconds) {
  const network = NETWORKS[name];
  const videoKbits = vary(network.videoKbits);
  const audioPackets = AUDIO_PACKETS_PER_SECOND * seconds;
  const videoPackets = (videoKbits * 1_000 * seconds) / VIDEO_PACKET_BITS;
  const loss = vary(network.lossPercent) / 100;
  const audioLost = draw(audioPackets * loss);
  const videoLost = draw(videoPackets * loss);
  const freezes = direction === 'inbound' && name === 'poor' && Math.random() < 0.4 ? 1 : 0;
  const sample = {
    timestamp: Math.round(timestamp),
    direction,
    roundTripTime: round(vary(network.roundTripMillis) / 1_000),
    jitter: round(vary(network.jitterMillis) / 1_000),
    packetsLost: audioLost + videoLost,
    packetsReceived: Math.round(audioPackets + videoPackets) - audioLost - videoLost,
    audioPacketsLost: audioLost,
    audioPacketsReceived: Math.round(audioPackets) - audioLost,
    frameWidth: network.frame[0],
    frameHeight: network.frame[1],
    framesPerSecond: Math.round(vary(network.framesPerSecond)),
    bitrate: Math.round((videoKbits + AUDIO_KBITS) * 1_000),
    videoBitrate: Math.round(videoKbits * 1_000),
    audioCodec: 'opus',
    fecEnabled: true,
    videoCodec: 'vp8',
  };
  if (direction === 'outbound') return sample;
  return {
    ...sample,
    jitterBufferDelay: round(vary(network.jitterMillis * 2) / 1_000),
    freezeCount: freezes,
    totalFreezesDuration: freezes ? round(Math.min(seconds, vary(0.5))) : 0,
  };
}

/** @param {number} value */
const round = (value) => Math.round(value * 10_000) / 10_000;
