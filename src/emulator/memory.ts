/**
 * Memory as views of all widths over one buffer, and the windows of the generic address space.
 *
 * Addresses have 64 bits in registers. The high word says which space a generic address is in, the low word where: so the
 * arithmetic of kernels on addresses is exact, and an access needs the low word alone.
 * @module
 */

/** High word of addresses in device memory (and of variables in .const). */
export const GLOBAL_WINDOW = 0x7f;
/** High word of generic addresses in shared memory. */
export const SHARED_WINDOW = 0x11;
/** High word of generic addresses in a thread's local memory. */
export const LOCAL_WINDOW = 0x12;

/** Bytes in views. */
export class Memory {
  readonly bytes: number;
  readonly u8: Uint8Array;
  readonly u16: Uint16Array;
  readonly i32: Int32Array;
  readonly u32: Uint32Array;
  readonly f32: Float32Array;

  /** @param bytes Size; it is rounded up to a multiple of 16 */
  constructor(bytes: number) {
    this.bytes = Math.ceil(bytes / 16) * 16;
    const buffer = new ArrayBuffer(this.bytes);
    this.u8 = new Uint8Array(buffer);
    this.u16 = new Uint16Array(buffer);
    this.i32 = new Int32Array(buffer);
    this.u32 = new Uint32Array(buffer);
    this.f32 = new Float32Array(buffer);
  }
}
