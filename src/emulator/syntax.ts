/**
 * What a PTX module says, as data: entries, variables, registers, instructions with their place in the source.
 * @module
 */
import { PacacError } from "../errors.ts";

/** A place in a source file. */
export interface SourcePlace {
  readonly file: string;
  readonly line: number;
}

/** Where an instruction comes from: the innermost place first, then the calls that it was inlined through. */
export type SourceChain = readonly SourcePlace[];

/** A register as declared. */
export interface Register {
  readonly name: string;
  /** `pred`, `b16`, `f32`, … */
  readonly type: string;
}

/** An operand as written. */
export type Operand =
  | { readonly kind: "register"; readonly register: Register; readonly negated: boolean }
  | { readonly kind: "special"; readonly name: string }
  | { readonly kind: "integer"; readonly value: bigint }
  /** Bits of a float of the given width. */
  | { readonly kind: "float"; readonly bits: bigint; readonly width: 32 | 64 }
  | { readonly kind: "symbol"; readonly name: string; readonly offset: number }
  | { readonly kind: "vector"; readonly items: readonly Operand[] }
  | { readonly kind: "address"; readonly base: Operand | undefined; readonly offset: number }
  /** `d|p`: a value and a predicate. */
  | { readonly kind: "pair"; readonly first: Operand; readonly second: Operand }
  /** `_`: the value is dropped. */
  | { readonly kind: "sink" };

/** A predicate before an instruction. */
export interface Guard {
  readonly register: Register;
  readonly negated: boolean;
}

/** An instruction. */
export interface Instruction {
  /** `mad.lo.s32` */
  readonly opcode: string;
  /** `mad` */
  readonly name: string;
  /** `lo`, `s32` */
  readonly parts: readonly string[];
  readonly operands: readonly Operand[];
  readonly guard: Guard | undefined;
  /** Line in the PTX text, from 1. */
  readonly line: number;
  readonly source: SourceChain;
}

/** A variable of a module or an entry. */
export interface Variable {
  readonly name: string;
  readonly space: "global" | "const" | "shared" | "local";
  readonly align: number;
  /** Bytes; 0 for `.extern .shared x[]`, whose size the launch gives. */
  readonly bytes: number;
  /** Initial content, where there is one. */
  readonly initial: Uint8Array | undefined;
}

/** A parameter of an entry. */
export interface Parameter {
  readonly name: string;
  /** `u64`, `f32`, …; `b8` for a structure. */
  readonly type: string;
  readonly bytes: number;
  /** Offset in the parameter block. */
  readonly offset: number;
}

/** A kernel. */
export interface Entry {
  readonly name: string;
  readonly parameters: readonly Parameter[];
  /** Most threads of a block: `.maxntid` or `.reqntid`; undefined where it is not said. */
  readonly maxThreads: number | undefined;
  readonly instructions: readonly Instruction[];
  /** Index of an instruction by label. */
  readonly labels: ReadonlyMap<string, number>;
  /** Labels of a `.branchtargets` table by the table's label. */
  readonly tables: ReadonlyMap<string, readonly string[]>;
  /** Shared and local variables of the entry. */
  readonly variables: readonly Variable[];
}

/** A module, read. */
export interface PtxText {
  /** `sm_80` */
  readonly target: string;
  readonly entries: ReadonlyMap<string, Entry>;
  readonly variables: readonly Variable[];
}

/** Bytes of a type by its name without the dot; packed pairs have 4. */
const BYTES: Readonly<Record<string, number>> = {
  ...{ pred: 1, b8: 1, u8: 1, s8: 1, b16: 2, u16: 2, s16: 2, f16: 2, bf16: 2 },
  ...{ b32: 4, u32: 4, s32: 4, f32: 4, f16x2: 4, bf16x2: 4, tf32: 4 },
  ...{ b64: 8, u64: 8, s64: 8, f64: 8 },
};

/** Whether a word is a type. */
export function isType(word: string): boolean {
  return word in BYTES;
}

/**
 * Bytes of a type.
 * @param type `u32`, `bf16x2`, …
 * @throws {PacacError} ptx-invalid
 */
export function bytesOf(type: string): number {
  const bytes = BYTES[type];
  if (bytes === undefined) {
    throw new PacacError("ptx-invalid", `Cannot read PTX: type .${type} is not known`);
  }
  return bytes;
}

/**
 * The hard error of PTX that the emulator cannot run.
 * @param what What is wrong
 * @param line Line in the PTX text
 * @param source Where the line comes from
 */
export function ptxError(what: string, line: number, source: SourceChain = []): PacacError {
  const [innermost] = source;
  const from = innermost === undefined ? "" : ` (from ${innermost.file}:${innermost.line})`;
  return new PacacError("ptx-invalid", `Cannot run PTX: ${what}${from}`, {
    place: { file: "PTX", line },
    remedy: "the emulator knows what src/emulator/decode.ts lists",
  });
}
