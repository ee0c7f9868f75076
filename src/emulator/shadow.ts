/**
 * What is known of each two bytes of a memory: whether they are allocated and initialised, who wrote them last and who
 * read them last.
 *
 * Accesses are known by number: every checked memory instruction that runs gets the next one, and the checker's books say
 * which instruction, warp and stretch between barriers it was. Numbers below a memory's base are of an earlier launch (or, in
 * shared memory, an earlier block) and conflict with nothing, so that nothing is cleared between launches.
 *
 * Two bytes share one last writer. Where two threads write single bytes next to each other, the earlier is forgotten: a race
 * on bytes may be missed, none is invented.
 * @module
 */

/** Both bytes of a cell are allocated. */
const ALLOCATED = 0b0011;

/** Bits of an access beside its number. */
export const WHOLE_WARP = 1 << 5;
/** The access is atomic, or as strong as one. */
export const ATOMIC = 1 << 6;
/** Where the mask of the cell's bytes begins. */
export const BYTES_AT = 7;
/** How many different such bits there are. */
export const INFOS = 1 << BYTES_AT + 2;

/** Shadow of a memory. Cells are two bytes. */
export class Shadow {
  /** Bits 0 and 1: the bytes are allocated; bits 2 and 3: they are initialised. */
  readonly state: Uint8Array;
  readonly writer: Uint32Array;
  readonly writerInfo: Uint16Array;
  /** The last reader, and the last one from elsewhere: of two, one is another warp than the one that writes next. */
  readonly reader: Uint32Array;
  readonly readerInfo: Uint16Array;
  readonly other: Uint32Array;
  readonly otherInfo: Uint16Array;
  /** The first access that counts. */
  base = 0;

  /** @param bytes Of the memory */
  constructor(bytes: number) {
    const cells = Math.ceil(bytes / 2);
    this.state = new Uint8Array(cells);
    this.writer = new Uint32Array(cells);
    this.writerInfo = new Uint16Array(cells);
    this.reader = new Uint32Array(cells);
    this.readerInfo = new Uint16Array(cells);
    this.other = new Uint32Array(cells);
    this.otherInfo = new Uint16Array(cells);
  }

  /**
   * Marks bytes as allocated.
   * @param from First byte
   * @param bytes How many
   * @param initialised Whether they have a value
   */
  allocate(from: number, bytes: number, initialised: boolean): void {
    this.#mark(from, bytes, initialised ? 0b0101 : 0b0001);
  }

  /** Marks bytes as initialised. @param from First byte @param bytes How many */
  initialise(from: number, bytes: number): void {
    this.#mark(from, bytes, 0b0100);
  }

  /** All bytes that are allocated lose their values. */
  forget(): void {
    for (let i = 0; i < this.state.length; i++) this.state[i] &= ALLOCATED;
  }

  /** All bytes that are allocated count as initialised. */
  trust(): void {
    for (let i = 0; i < this.state.length; i++) this.state[i] |= (this.state[i] & ALLOCATED) << 2;
  }

  #mark(from: number, bytes: number, bits: number): void {
    const end = from + bytes;
    const firstWhole = Math.ceil(from / 2);
    const lastWhole = Math.floor(end / 2);
    for (let cell = firstWhole; cell < lastWhole; cell++) this.state[cell] |= bits | bits << 1;
    if (from % 2 === 1) this.state[from >> 1] |= bits << 1;
    if (end % 2 === 1) this.state[end >> 1] |= bits;
  }
}
