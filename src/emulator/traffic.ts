/**
 * What an access costs the memory system: wavefronts of shared memory, sectors of device memory.
 *
 * Shared memory has 32 banks of 4 bytes. A warp's access is served in phases: all lanes where each asks for 4 bytes or less,
 * 16 at a time for 8 bytes, 8 at a time for 16. A phase takes as many wavefronts as the busiest bank has different words.
 * Device memory moves in sectors of 32 bytes.
 * @module
 */

const BANKS = 32;
/** Words that each bank was asked for in a phase. */
const words = new Uint32Array(BANKS * 64);
const counts = new Uint8Array(BANKS);

/** Wavefronts and phases of an access. */
export interface Waves {
  wavefronts: number;
  phases: number;
}

/**
 * Wavefronts that an access to shared memory takes.
 * @param addresses Byte addresses by lane
 * @param mask Lanes that take part
 * @param bytes That each lane asks for
 * @param into Is added to
 */
export function countWaves(addresses: Uint32Array, mask: number, bytes: number, into: Waves): void {
  const lanes = bytes <= 4 ? 32 : 128 / bytes;
  for (let first = 0; first < 32; first += lanes) {
    const part = lanes === 32 ? mask : mask >>> first & ((1 << lanes) - 1);
    if (part === 0) continue;
    counts.fill(0);
    let most = 1;
    for (let i = 0; i < lanes; i++) {
      if ((part >>> i & 1) === 0) continue;
      const at = addresses[first + i];
      const end = at + bytes - 1 >>> 2;
      for (let word = at >>> 2; word <= end; word++) most = Math.max(most, ask(word));
    }
    into.wavefronts += most;
    into.phases++;
  }
}

/** Notes a word; returns how many different ones its bank was asked for. */
function ask(word: number): number {
  const bank = word & BANKS - 1;
  const count = counts[bank];
  const base = bank * 64;
  for (let i = 0; i < count; i++) if (words[base + i] === word) return count;
  words[base + count] = word;
  counts[bank] = count + 1;
  return count + 1;
}

/** Sectors and bytes of an access. */
export interface Sectors {
  sectors: number;
  bytes: number;
}

const seen = new Uint32Array(64);
const sectorsSeen = new Uint32Array(128);

/**
 * Sectors that an access to device memory touches, and the bytes asked for; lanes that ask for the same count once.
 * @param addresses Byte addresses by lane
 * @param mask Lanes that take part
 * @param bytes That each lane asks for
 * @param into Is added to
 */
export function countSectors(
  addresses: Uint32Array,
  mask: number,
  bytes: number,
  into: Sectors,
): void {
  let places = 0;
  let sectors = 0;
  for (let i = 0; i < 32; i++) {
    if ((mask >>> i & 1) === 0) continue;
    const at = addresses[i];
    if (!add(seen, places, at)) continue;
    places++;
    for (let sector = at >>> 5; sector <= at + bytes - 1 >>> 5; sector++) {
      if (add(sectorsSeen, sectors, sector)) sectors++;
    }
  }
  into.sectors += sectors;
  into.bytes += places * bytes;
}

/** Puts a value behind the others unless it is among them; the last is the likeliest. */
function add(list: Uint32Array, length: number, value: number): boolean {
  for (let i = length - 1; i >= 0; i--) if (list[i] === value) return false;
  list[length] = value;
  return true;
}
