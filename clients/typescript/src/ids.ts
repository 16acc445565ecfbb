/** Ids for idempotent requests. They must be unique, and need not be secret. */

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-';
const LENGTH = 22; // 132 bits

interface RandomSource {
  getRandomValues?(bytes: Uint8Array): unknown;
}

/** A random id of 22 characters. React Native has no `crypto` unless a package adds it. */
export function randomId(): string {
  const bytes = new Uint8Array(LENGTH);
  const source = (globalThis as { crypto?: RandomSource }).crypto;
  if (source?.getRandomValues) {
    source.getRandomValues(bytes);
  } else {
    for (let i = 0; i < LENGTH; i += 1) bytes[i] = Math.floor(Math.random() * 256);
  }
  let id = '';
  for (const byte of bytes) id += ALPHABET.charAt(byte % ALPHABET.length);
  return id;
}
