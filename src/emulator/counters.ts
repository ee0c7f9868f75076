/**
 * Counts of a launch: instructions, traffic, by place and in all.
 * @module
 */
import { type InstructionPlace, placeOf } from "./findings.ts";
import { countBits } from "./ops/integer32.ts";
import type { Instruction, SourcePlace } from "./syntax.ts";
import { countSectors, countWaves } from "./traffic.ts";

/** Traffic of shared memory. */
export interface SharedTraffic {
  /** Warp instructions. */
  readonly requests: number;
  /** Bytes of all lanes together. */
  readonly bytes: number;
  readonly wavefronts: number;
  /** Wavefronts if no two lanes met in a bank. */
  readonly ideal: number;
  /** wavefronts / ideal; 1 is without conflicts. */
  readonly factor: number;
}

/** Traffic of device memory. */
export interface GlobalTraffic {
  /** Warp instructions. */
  readonly requests: number;
  /** Sectors of 32 bytes. */
  readonly sectors: number;
  /** Bytes asked for; what several lanes ask for counts once. */
  readonly bytes: number;
  /** bytes / (32 · sectors) */
  readonly efficiency: number;
}

/** What one instruction did. */
export interface PlaceCount extends InstructionPlace {
  /** Times that a warp came by. */
  readonly warps: number;
  readonly shared?: SharedTraffic;
  readonly global?: GlobalTraffic;
}

/** What the instructions of a source line did, by the innermost place. */
export interface LineCount extends SourcePlace {
  readonly warpInstructions: number;
  readonly shared?: SharedTraffic;
  readonly global?: GlobalTraffic;
}

/** Counts of a launch. Traffic is counted where the launch is checked. */
export interface CounterReport {
  readonly warpInstructions: number;
  /** By full opcode. */
  readonly byOpcode: Readonly<Record<string, number>>;
  /** `mma.sync` by warps. */
  readonly mma: number;
  /** Warps that came to a barrier. */
  readonly barriers: number;
  readonly shared: SharedTraffic;
  readonly globalReads: GlobalTraffic;
  readonly globalWrites: GlobalTraffic;
  readonly places: readonly PlaceCount[];
  readonly lines: readonly LineCount[];
}

/** A direction of device memory's traffic. */
export type Direction = "read" | "write";

/** Counts while a launch runs. */
export class Counters {
  readonly #instructions: readonly Instruction[];
  /** Times that a warp came by an instruction. */
  readonly warps: Float64Array;
  readonly #shared: { requests: number; bytes: number; wavefronts: number; phases: number }[];
  readonly #global: { requests: number; sectors: number; bytes: number; direction: Direction }[];

  /** @param instructions Of the kernel */
  constructor(instructions: readonly Instruction[]) {
    this.#instructions = instructions;
    this.warps = new Float64Array(instructions.length);
    this.#shared = instructions.map(() => ({ requests: 0, bytes: 0, wavefronts: 0, phases: 0 }));
    this.#global = instructions.map(() => ({
      requests: 0,
      sectors: 0,
      bytes: 0,
      direction: "read",
    }));
  }

  /** Counts an access to shared memory. @param site Instruction */
  shared(site: number, addresses: Uint32Array, mask: number, bytes: number): void {
    if (mask === 0) return;
    const count = this.#shared[site];
    count.requests++;
    count.bytes += countBits(mask) * bytes;
    countWaves(addresses, mask, bytes, count);
  }

  /** Counts an access to device memory. @param site Instruction */
  global(
    site: number,
    direction: Direction,
    given: { readonly addresses: Uint32Array; readonly mask: number; readonly bytes: number },
  ): void {
    if (given.mask === 0) return;
    const count = this.#global[site];
    count.requests++;
    count.direction = direction;
    countSectors(given.addresses, given.mask, given.bytes, count);
  }

  /** The counts so far. */
  report(): CounterReport {
    const byOpcode: Record<string, number> = {};
    let [warpInstructions, mma, barriers] = [0, 0, 0];
    this.#instructions.forEach(({ opcode, name }, i) => {
      const warps = this.warps[i];
      warpInstructions += warps;
      if (warps > 0) byOpcode[opcode] = (byOpcode[opcode] ?? 0) + warps;
      if (name === "mma") mma += warps;
      if ((name === "bar" || name === "barrier") && !opcode.startsWith("bar.warp")) {
        barriers += warps;
      }
    });
    const every = this.#instructions.map((_, i) => i);
    return {
      warpInstructions,
      byOpcode,
      mma,
      barriers,
      shared: this.#sumShared(every),
      globalReads: this.#sumGlobal(every, "read"),
      globalWrites: this.#sumGlobal(every, "write"),
      places: every.filter((i) => this.warps[i] > 0).map((i) => this.#place(i)),
      lines: this.#lines(),
    };
  }

  #place(i: number): PlaceCount {
    return {
      ...placeOf(this.#instructions[i]),
      warps: this.warps[i],
      ...this.#traffic([i]),
    };
  }

  #traffic(sites: readonly number[]): Pick<PlaceCount, "shared" | "global"> {
    const shared = this.#sumShared(sites);
    const global = this.#sumGlobal(sites);
    return {
      ...(shared.requests > 0 ? { shared } : {}),
      ...(global.requests > 0 ? { global } : {}),
    };
  }

  #lines(): LineCount[] {
    const sites = new Map<string, number[]>();
    this.#instructions.forEach(({ source }, i) => {
      const [inner] = source;
      if (inner === undefined || this.warps[i] === 0) return;
      const key = `${inner.file}:${inner.line}`;
      const same = sites.get(key);
      if (same === undefined) sites.set(key, [i]);
      else same.push(i);
    });
    return [...sites.values()].map((some): LineCount => {
      const [inner] = this.#instructions[some[0]].source;
      return {
        ...inner,
        warpInstructions: some.reduce((sum, i) => sum + this.warps[i], 0),
        ...this.#traffic(some),
      };
    }).sort((a, b) => a.file === b.file ? a.line - b.line : a.file < b.file ? -1 : 1);
  }

  #sumShared(sites: readonly number[]): SharedTraffic {
    let [requests, bytes, wavefronts, ideal] = [0, 0, 0, 0];
    for (const i of sites) {
      requests += this.#shared[i].requests;
      bytes += this.#shared[i].bytes;
      wavefronts += this.#shared[i].wavefronts;
      ideal += this.#shared[i].phases;
    }
    return { requests, bytes, wavefronts, ideal, factor: ideal === 0 ? 1 : wavefronts / ideal };
  }

  #sumGlobal(sites: readonly number[], direction?: Direction): GlobalTraffic {
    let [requests, sectors, bytes] = [0, 0, 0];
    for (const i of sites) {
      const count = this.#global[i];
      if (direction !== undefined && count.direction !== direction) continue;
      requests += count.requests;
      sectors += count.sectors;
      bytes += count.bytes;
    }
    return { requests, sectors, bytes, efficiency: sectors === 0 ? 1 : bytes / (32 * sectors) };
  }
}
