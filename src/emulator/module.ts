/**
 * A module that can be launched: parameters, shared memory, the grid, and what came of it.
 * @module
 */
import { PacacError } from "../errors.ts";
import { Block, type Extents } from "./block.ts";
import { Checker } from "./checker.ts";
import { type CounterReport, Counters } from "./counters.ts";
import { decode, type Program } from "./decode.ts";
import type { Device, DevicePointer } from "./device.ts";
import { type Finding, Findings } from "./findings.ts";
import { Memory } from "./memory.ts";
import { parsePtx } from "./parser.ts";
import { countPtx, type PtxCounts } from "./ptxas.ts";
import { runGrid } from "./scheduler.ts";
import type { Entry, Parameter, PtxText, Variable } from "./syntax.ts";

/** What a kernel is given for a parameter: a place in device memory, a number, or the bytes of a structure. */
export type Argument = DevicePointer | number | bigint | Uint8Array;

/** What a launch takes. */
export interface LaunchOptions {
  readonly device: Device;
  /** Blocks, along one to three axes. */
  readonly grid: number | readonly number[];
  /** Threads of a block, along one to three axes. */
  readonly block: number | readonly number[];
  /** Bytes of dynamic shared memory (default: 0). */
  readonly shared?: number;
  /** In the order of the parameters. */
  readonly args: readonly Argument[];
  /** Whether accesses are judged and traffic is counted (default: true); without, a launch is several times as fast. */
  readonly check?: boolean;
  /** Branches back that a block may take before it counts as endless (default: 50 million). */
  readonly maxBranches?: number;
}

/** What came of a launch. */
export interface LaunchReport {
  readonly findings: readonly Finding[];
  readonly counters: CounterReport;
  /** Whether all blocks ended; a deadlock or a trap stops a launch. */
  readonly complete: boolean;
  /** Time that the emulator took. It says nothing of a GPU's. */
  readonly seconds: number;
}

const MOST_THREADS = 1024;
/** Shared memory that a block of the largest target may have. */
const MOST_SHARED = 227 * 1024;
/** Local memory that a thread may have here; GPUs allow 512 KB. */
const MOST_LOCAL = 64 * 1024;
const MOST_BLOCKS = 2 ** 31 - 1;

/** A module of PTX. */
export class PtxModule {
  readonly #text: PtxText;
  /** Where the module's variables lie on a device. */
  readonly #loaded = new WeakMap<Device, ReadonlyMap<string, bigint>>();
  readonly #programs = new WeakMap<Device, Map<string, Program>>();

  /** @param text The module, read */
  constructor(text: PtxText) {
    this.#text = text;
  }

  /** `sm_80` */
  get target(): string {
    return this.#text.target;
  }

  /** Names of the kernels. */
  get entries(): readonly string[] {
    return [...this.#text.entries.keys()];
  }

  /** Parameters of a kernel. @param entry Its name @throws {PacacError} usage */
  parameters(entry: string): readonly Parameter[] {
    return this.#entry(entry).parameters;
  }

  /** Counts of a kernel's PTX by kind. @param entry Its name @throws {PacacError} usage */
  counts(entry: string): PtxCounts {
    return countPtx(this.#entry(entry).instructions);
  }

  /**
   * Runs a kernel to its end. What it wrote stays on the device.
   * @param name The kernel
   * @param options Device, grid, block, arguments
   * @throws {PacacError} usage where the launch cannot be; ptx-invalid where an instruction is not known
   */
  launch(name: string, options: LaunchOptions): LaunchReport {
    const entry = this.#entry(name);
    const grid = extents(options.grid);
    const size = extents(options.block);
    const symbols = this.#symbols(options.device, entry);
    const sharedBytes = sharedEnd(this.#shared(entry)) + (options.shared ?? 0);
    const localBytes = Math.ceil(sharedEnd(entry.variables.filter(isLocal)) / 16) * 16;
    refuseLaunch(entry, { grid, size, sharedBytes, localBytes });
    const program = this.#program(entry, options.device, symbols);
    const parameters = parameterBlock(entry, options.args);
    const findings = new Findings(entry.instructions);
    const counters = new Counters(entry.instructions);
    const { device, check = true, maxBranches = 50e6 } = options;
    const started = performance.now();
    if (check) device.launchNoted();
    else device.launchUnnoted();
    const block = new Block({
      ...{ device, parameters, findings, grid, size, sharedBytes },
      checker: check ? new Checker({ device, sharedBytes, findings, counters }) : undefined,
      localBytes,
      registers: program.layout,
    });
    const blocks = grid.reduce((a, b) => a * b);
    const complete = runGrid(program, block, { blocks, counts: counters.warps, maxBranches });
    const seconds = (performance.now() - started) / 1000;
    return { findings: findings.list, counters: counters.report(), complete, seconds };
  }

  #entry(name: string): Entry {
    const entry = this.#text.entries.get(name);
    if (entry !== undefined) return entry;
    throw new PacacError("usage", `Cannot launch ${name}: the module has no such kernel`, {
      remedy: `it has ${this.entries.join(", ")}`,
    });
  }

  /** Shared variables of an entry: its own, then the module's, those without a size last. */
  #shared(entry: Entry): Variable[] {
    return [...entry.variables, ...this.#text.variables].filter(({ space }) => space === "shared")
      .sort((a, b) => Number(a.bytes === 0) - Number(b.bytes === 0));
  }

  #program(entry: Entry, device: Device, symbols: ReadonlyMap<string, bigint>): Program {
    const programs = this.#programs.get(device) ?? new Map<string, Program>();
    this.#programs.set(device, programs);
    const known = programs.get(entry.name);
    if (known !== undefined) return known;
    const program = decode(entry, { symbols });
    programs.set(entry.name, program);
    return program;
  }

  /** Addresses of all variables that an entry may name. */
  #symbols(device: Device, entry: Entry): ReadonlyMap<string, bigint> {
    const loaded = this.#loaded.get(device) ?? this.#load(device);
    this.#loaded.set(device, loaded);
    const symbols = new Map(loaded);
    for (const [name, offset] of offsets(this.#shared(entry))) symbols.set(name, BigInt(offset));
    for (const [name, offset] of offsets(entry.variables.filter(isLocal))) {
      symbols.set(name, BigInt(offset));
    }
    return symbols;
  }

  /** Puts the module's variables into device memory. */
  #load(device: Device): ReadonlyMap<string, bigint> {
    const symbols = new Map<string, bigint>();
    for (const { name, space, bytes, initial } of this.#text.variables) {
      if (space !== "global" && space !== "const") continue;
      // Without an initial value a variable is 0.
      const { address } = device.alloc(name, initial ?? new Uint8Array(bytes));
      symbols.set(name, address);
    }
    return symbols;
  }
}

/**
 * Reads PTX.
 * @param text What `nvcc -ptx -lineinfo` writes
 * @throws {PacacError} ptx-invalid
 */
export function parse(text: string): PtxModule {
  return new PtxModule(parsePtx(text));
}

const isLocal = ({ space }: Variable) => space === "local";

/** Variables one behind the other. */
function offsets(variables: readonly Variable[]): [string, number][] {
  let end = 0;
  return variables.map(({ name, align, bytes }) => {
    const offset = Math.ceil(end / align) * align;
    end = offset + bytes;
    return [name, offset];
  });
}

/** Bytes up to where dynamic shared memory begins, or the end. */
function sharedEnd(variables: readonly Variable[]): number {
  const places = offsets(variables);
  return variables.reduce((end, { bytes }, i) => Math.max(end, places[i][1] + bytes), 0);
}

function extents(given: number | readonly number[]): Extents {
  const [x = 1, y = 1, z = 1] = typeof given === "number" ? [given] : given;
  return [x, y, z];
}

function refuseLaunch(
  { name, maxThreads = MOST_THREADS }: Entry,
  { grid, size, sharedBytes, localBytes }: {
    readonly grid: Extents;
    readonly size: Extents;
    readonly sharedBytes: number;
    readonly localBytes: number;
  },
): void {
  const refuse = (what: string, remedy: string): never => {
    throw new PacacError("usage", `Cannot launch ${name}: ${what}`, { remedy });
  };
  const whole = [...grid, ...size].every((n) => Number.isInteger(n) && n > 0);
  if (!whole) refuse(`grid ${grid} or block ${size} is not of whole numbers from 1`, "mend them");
  const threads = size.reduce((a, b) => a * b);
  const most = Math.min(maxThreads, MOST_THREADS);
  if (threads > most) {
    refuse(`${threads} threads of a block are more than ${most}`, "see its __launch_bounds__");
  }
  if (grid.reduce((a, b) => a * b) > MOST_BLOCKS) {
    refuse("the grid is too large", "make it smaller");
  }
  if (sharedBytes > MOST_SHARED) {
    refuse(`${sharedBytes} bytes of shared memory are more than ${MOST_SHARED}`, "use less");
  }
  if (localBytes > MOST_LOCAL) {
    refuse(`${localBytes} bytes of local memory are more than ${MOST_LOCAL}`, "use less");
  }
}

/** The parameter block with the arguments in their places. */
function parameterBlock({ name, parameters }: Entry, args: readonly Argument[]): Memory {
  if (args.length !== parameters.length) {
    throw new PacacError(
      "usage",
      `Cannot launch ${name}: it has ${parameters.length} parameters and was given ${args.length}`,
    );
  }
  const memory = new Memory(parameters.reduce((end, p) => Math.max(end, p.offset + p.bytes), 0));
  const view = new DataView(memory.u8.buffer);
  parameters.forEach((parameter, i) => put(view, parameter, args[i]));
  return memory;
}

function put(view: DataView, { name, type, bytes, offset }: Parameter, value: Argument): void {
  if (value instanceof Uint8Array) {
    if (value.length !== bytes) {
      throw new PacacError(
        "usage",
        `Cannot launch with ${name}: ${value.length} bytes for a structure of ${bytes}`,
      );
    }
    new Uint8Array(view.buffer).set(value, offset);
    return;
  }
  if (type === "f32" && typeof value === "number") return view.setFloat32(offset, value, true);
  if (type === "f64" && typeof value === "number") return view.setFloat64(offset, value, true);
  const fits = typeof value === "number"
    ? Number.isSafeInteger(value) && bytes <= 8
    : bytes <= 8 && !/^f/.test(type);
  if (!fits) {
    throw new PacacError("usage", `Cannot launch with ${name}: ${value} is no .${type}`, {
      remedy: "give a number for a number, a buffer for a pointer, bytes for a structure",
    });
  }
  const whole = typeof value === "object" ? value.address : BigInt(value);
  for (let i = 0; i < bytes; i++) {
    view.setUint8(offset + i, Number(BigInt.asUintN(64, whole) >> BigInt(8 * i) & 0xffn));
  }
}
