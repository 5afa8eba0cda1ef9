/**
 * Tells whether a file is the one that an upload was begun with, without reading all of it.
 *
 * It is taken from the size and from samples at the beginning, in the middle and at the end. It goes along with the
 * upload, so that any device can compare. No proof against malice: what was stored has a digest of its own.
 */

const SAMPLE_BYTES = 64 * 1024
const SEED_HIGH = 0x9e3779b9
const SEED_LOW = 0x85ebca6b

export async function fingerprintOf(file: Blob): Promise<string> {
  const starts = [0, Math.floor((file.size - SAMPLE_BYTES) / 2), file.size - SAMPLE_BYTES].map((at) => Math.max(0, at))
  let high = SEED_HIGH ^ file.size
  let low = SEED_LOW ^ Math.floor(file.size / 2 ** 32)
  for (const start of new Set(starts)) {
    const bytes = new Uint8Array(await file.slice(start, start + SAMPLE_BYTES).arrayBuffer())
    // Two multiplications a byte: the browser's own digests are not there on pages that came over plain HTTP.
    for (const byte of bytes) {
      high = Math.imul(high ^ byte, 0x01000193)
      low = Math.imul(low ^ byte, 0x5bd1e995) ^ (low >>> 15)
    }
  }
  return `s1-${file.size.toString(16)}-${hex(high)}${hex(low)}`
}

function hex(value: number): string {
  return (value >>> 0).toString(16).padStart(8, '0')
}
