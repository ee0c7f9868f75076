/**
 * Findings: what is wrong with a kernel, where, and with which other access. The same fault at the same place counts up.
 * @module
 */
import type { Instruction, SourceChain } from "./syntax.ts";
import type { Warp } from "./warp.ts";

/** Kinds of findings. */
export type FindingKind =
  | "race"
  | "race-between-blocks"
  | "out-of-bounds"
  | "misaligned"
  | "uninitialised"
  | "async-pending"
  | "divergent"
  | "deadlock"
  | "endless";

/** An instruction as findings name it. */
export interface InstructionPlace {
  /** The .cu place, innermost first, then the calls it was inlined through. */
  readonly source: SourceChain;
  readonly ptxLine: number;
  readonly opcode: string;
}

/** A thread as findings name it. */
export interface ThreadPlace {
  /** Number of the block in the grid. */
  readonly block: number;
  readonly warp: number;
  readonly lane: number;
}

/** The access that a race is with. */
export interface OtherAccess extends InstructionPlace, ThreadPlace {
  readonly access: "read" | "write";
}

/** Bytes that a finding is about. */
export interface AddressPlace {
  readonly space: "global" | "shared" | "local" | "param";
  /** Byte offset: in the allocation of device memory, or in the space. */
  readonly offset: number;
  readonly bytes: number;
  /** Name and size of the allocation; the nearest one below where none is hit. */
  readonly allocation?: { readonly name: string; readonly bytes: number };
}

/** Something wrong. */
export interface Finding extends InstructionPlace, ThreadPlace {
  readonly kind: FindingKind;
  readonly message: string;
  readonly address?: AddressPlace;
  readonly other?: OtherAccess;
  /** How often it happened at this place. */
  count: number;
}

/** A kernel cannot go on: the finding is noted, the launch ends. */
export class Halt extends Error {
  override readonly name = "Halt";
}

/** Different findings that are kept. */
const MOST = 200;

/** What is said of an instruction of a warp. */
export interface Report extends Pick<Finding, "kind" | "message" | "address" | "other"> {
  /** Index of the instruction. */
  readonly site: number;
  readonly lane: number;
}

/** Collects findings. */
export class Findings {
  readonly #instructions: readonly Instruction[];
  readonly #found = new Map<string, Finding>();

  /** @param instructions Of the kernel */
  constructor(instructions: readonly Instruction[]) {
    this.#instructions = instructions;
  }

  /** All of them, in the order they were met. */
  get list(): readonly Finding[] {
    return [...this.#found.values()];
  }

  /** Place of an instruction. @param site Its index */
  placeOf(site: number): InstructionPlace {
    return placeOf(this.#instructions[site]);
  }

  /**
   * Notes a finding, or counts it where it was noted before at the same place.
   * @param warp Who
   * @param report What is wrong
   */
  add({ block, index }: Warp, { site, ...rest }: Report): void {
    const place = this.placeOf(site);
    const { kind, other } = rest;
    const key = `${kind} ${place.ptxLine} ${other?.ptxLine ?? ""} ${other?.access ?? ""}`;
    const known = this.#found.get(key);
    if (known !== undefined) known.count++;
    else if (this.#found.size < MOST) {
      this.#found.set(key, { ...rest, ...place, block: block.linear, warp: index, count: 1 });
    }
  }
}

/** An instruction's place. @param instruction The instruction */
export function placeOf(instruction: Instruction): InstructionPlace {
  const { source, line, opcode } = instruction;
  return { source, ptxLine: line, opcode };
}

/** `kernel.cu:14 (inlined at kernel.cu:40)` @param source Innermost first */
function sourceText(source: SourceChain): string {
  const [inner, ...outer] = source.map(({ file, line }) => `${file.split("/").at(-1)}:${line}`);
  if (inner === undefined) return "?";
  return outer.length === 0 ? inner : `${inner} (inlined at ${outer.join(", ")})`;
}

/** A finding as a person reads it: a line for what, one for where, one for the other access. @param finding It */
export function findingText(finding: Finding): string {
  const { kind, message, source, opcode, ptxLine, block, warp, lane, address, other } = finding;
  const lines = [`${kind}: ${message}${finding.count > 1 ? ` (${finding.count} times)` : ""}`];
  const thread = `block ${block}, warp ${warp}, lane ${lane}`;
  lines.push(`  at ${sourceText(source)}, ${opcode}, PTX line ${ptxLine}, ${thread}`);
  if (address !== undefined) lines.push(`  ${addressText(address)}`);
  if (other !== undefined) {
    const where = `block ${other.block}, warp ${other.warp}, lane ${other.lane}`;
    lines.push(
      `  other ${other.access}: ${
        sourceText(other.source)
      }, ${other.opcode}, PTX line ${other.ptxLine}, ${where}`,
    );
  }
  return lines.join("\n");
}

function addressText({ space, offset, bytes, allocation }: AddressPlace): string {
  if (allocation === undefined) return `${bytes} bytes at ${space} memory + ${offset}`;
  return `${bytes} bytes at ${allocation.name} + ${offset} of ${allocation.bytes} (${space} memory)`;
}
