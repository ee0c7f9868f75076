/**
 * Device memory: one arena with gaps between allocations, so that an access past an end hits nothing that is allocated.
 * @module
 */
import { PacacError } from "../errors.ts";
import { GLOBAL_WINDOW, Memory } from "./memory.ts";
import { Shadow } from "./shadow.ts";

/** Bytes between allocations, and what they are aligned to. */
const GAP = 256;
const LARGEST = 2 ** 31;

/** Anything that has bytes. */
export type Content = ArrayBufferView<ArrayBufferLike>;

/** A place in device memory that a kernel can be given. */
export interface DevicePointer {
  /** The address as a kernel sees it. */
  readonly address: bigint;
}

/** An allocation. */
export interface DeviceBuffer extends DevicePointer {
  readonly name: string;
  readonly bytes: number;
  /** Where it lies in the arena. */
  readonly offset: number;
  /** A place inside it. @param byteOffset Bytes from its start */
  at(byteOffset: number): DevicePointer;
}

/** What {@linkcode Device.alloc} takes beside name and content. */
export interface AllocOptions {
  /** Whether a buffer given by its size starts as zeros; otherwise it is 0xFF bytes (NaN) that a kernel must not read. */
  readonly initialised?: boolean;
}

/** A GPU's memory. It keeps its content from launch to launch. */
export class Device {
  #memory = new Memory(1 << 16);
  #shadow = new Shadow(1 << 16);
  #end = GAP;
  readonly #buffers: DeviceBuffer[] = [];
  /** Whether a launch wrote without noting it: what is allocated counts as initialised then. */
  #unnoted = false;
  /** Accesses that were checked so far: the next one's number. */
  serial = 1;

  /** The arena. It is another after an allocation. */
  get memory(): Memory {
    return this.#memory;
  }

  /** What is known of its bytes. */
  get shadow(): Shadow {
    return this.#shadow;
  }

  /**
   * Allocates.
   * @param name For findings
   * @param content Bytes, or values to start with
   * @param options Whether bytes without values are zeros
   * @throws {PacacError} usage, where it does not fit
   */
  alloc(name: string, content: number | Content, options: AllocOptions = {}): DeviceBuffer {
    const bytes = typeof content === "number" ? content : content.byteLength;
    if (!Number.isInteger(bytes) || bytes < 0 || this.#end + bytes + GAP > LARGEST) {
      throw new PacacError(
        "usage",
        `Cannot allocate ${name}: ${bytes} bytes beside ${this.#end} are more than the emulator's ${LARGEST}`,
        { remedy: "emulate a smaller problem" },
      );
    }
    const offset = this.#end;
    this.#end = Math.ceil((offset + bytes) / GAP) * GAP + GAP;
    this.#grow(this.#end);
    const initialised = typeof content !== "number" || options.initialised === true;
    this.#memory.u8.fill(initialised ? 0 : 0xff, offset, offset + bytes);
    if (typeof content !== "number") this.#memory.u8.set(bytesOfView(content), offset);
    this.#shadow.allocate(offset, bytes, initialised);
    const buffer = {
      name,
      bytes,
      offset,
      address: addressOf(offset),
      at: (byteOffset: number) => ({ address: addressOf(offset + byteOffset) }),
    };
    this.#buffers.push(buffer);
    return buffer;
  }

  /**
   * Overwrites a buffer from its start, as a copy from the host does.
   * @param buffer Where to
   * @param content What
   * @throws {PacacError} usage, where it does not fit
   */
  write(buffer: DeviceBuffer, content: Content): void {
    if (content.byteLength > buffer.bytes) {
      throw new PacacError(
        "usage",
        `Cannot write ${buffer.name}: ${content.byteLength} bytes do not fit into ${buffer.bytes}`,
      );
    }
    this.#memory.u8.set(bytesOfView(content), buffer.offset);
    this.#shadow.initialise(buffer.offset, content.byteLength);
  }

  /** A launch without checks begins. */
  launchUnnoted(): void {
    this.#unnoted = true;
  }

  /** A launch with checks begins: what was not noted before it counts as written. */
  launchNoted(): void {
    if (this.#unnoted) this.#shadow.trust();
    this.#unnoted = false;
  }

  /** A copy of a buffer's bytes. @param buffer Which */
  read(buffer: DeviceBuffer): Uint8Array<ArrayBuffer> {
    return this.#memory.u8.slice(buffer.offset, buffer.offset + buffer.bytes);
  }

  /** A copy of a buffer as float32. @param buffer Which; its bytes are a multiple of 4 */
  readFloat32(buffer: DeviceBuffer): Float32Array {
    return new Float32Array(this.read(buffer).buffer);
  }

  /** A copy of a buffer of bfloat16 as float32. @param buffer Which */
  readBf16(buffer: DeviceBuffer): Float32Array {
    const bits = new Uint16Array(this.read(buffer).buffer);
    return new Float32Array(Uint32Array.from(bits, (b) => b << 16).buffer);
  }

  /** The allocation that an arena offset is in, or the nearest one below it. @param offset In bytes */
  nearest(offset: number): DeviceBuffer | undefined {
    return this.#buffers.findLast((buffer) => buffer.offset <= offset);
  }

  #grow(bytes: number): void {
    if (bytes <= this.#memory.bytes) return;
    let size = this.#memory.bytes;
    while (size < bytes) size *= 2;
    const memory = new Memory(size);
    memory.u8.set(this.#memory.u8);
    const shadow = new Shadow(size);
    shadow.state.set(this.#shadow.state);
    // Accesses of earlier launches conflict with nothing: only the state is kept.
    this.#memory = memory;
    this.#shadow = shadow;
  }
}

function addressOf(offset: number): bigint {
  return BigInt(GLOBAL_WINDOW) << 32n | BigInt(offset);
}

function bytesOfView(view: Content): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}
