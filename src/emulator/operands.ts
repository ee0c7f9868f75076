/**
 * Operands to rows: where a register lies in the register file of a warp, and rows for immediates, addresses and special
 * registers, each made once for a kernel.
 * @module
 */
import {
  bytesOf,
  type Instruction,
  isType,
  type Operand,
  ptxError,
  type Register,
} from "./syntax.ts";

/** Index of the predicate that is never set, and of the one that takes what is dropped. */
const CLEAR = 0;
const DROPPED = 1;

/** Width of a row. 8- and 16-bit registers live in rows of 32 bits, zero-extended. */
export type Width = 32 | 64;

/** A row that is filled before a block runs. */
export interface Fixed {
  /** Where it lies, in words. */
  readonly word: number;
  readonly width: Width;
  /** The value, or the special register's name. */
  readonly value: bigint | string;
}

/** The register file of a kernel's warps. */
export class Layout {
  /** Its size so far; the first row takes what is dropped. */
  words = 64;
  /** The first is always clear, the second takes what is dropped. */
  predicates = 2;
  readonly fixed: Fixed[] = [];
  readonly #registers = new Map<Register, number>();
  readonly #rows = new Map<string, number>();

  /** Row of a register in words, or index of a predicate. @param register The register */
  of(register: Register): number {
    const known = this.#registers.get(register);
    if (known !== undefined) return known;
    const place = register.type === "pred" ? this.predicates++ : this.#row(widthOf(register));
    this.#registers.set(register, place);
    return place;
  }

  /** Row of a value that does not change while a block runs. @param value The value or special register */
  fix(value: bigint | string, width: Width): number {
    const key = `${width} ${value}`;
    const known = this.#rows.get(key);
    if (known !== undefined) return known;
    const word = this.#row(width);
    this.fixed.push({ word, width, value });
    this.#rows.set(key, word);
    return word;
  }

  /** A row for an instruction's own use. @param width Its width */
  scratch(width: Width): number {
    return this.#row(width);
  }

  #row(width: Width): number {
    // All rows start at even multiples of 32 words, so that doubles are aligned.
    const word = this.words;
    this.words += width === 64 ? 64 : 32;
    return word;
  }
}

/** Width of the row of a register. @param register Not a predicate */
function widthOf(register: Register): Width {
  return bytesOf(register.type) === 8 ? 64 : 32;
}

/** What decoders are given: an instruction and where its operands are. */
export class Site {
  readonly instruction: Instruction;
  readonly layout: Layout;
  /** Index of the instruction. */
  readonly pc: number;
  /** Addresses of variables. */
  readonly symbols: ReadonlyMap<string, bigint>;
  /** Offsets of parameters. */
  readonly parameters: ReadonlyMap<string, number>;

  /** @param given All of it */
  constructor(given: Pick<Site, "instruction" | "layout" | "pc" | "symbols" | "parameters">) {
    this.instruction = given.instruction;
    this.layout = given.layout;
    this.pc = given.pc;
    this.symbols = given.symbols;
    this.parameters = given.parameters;
  }

  /** Types among the parts, in order. */
  get types(): readonly string[] {
    return this.instruction.parts.filter(isType);
  }

  /** The last type: that of the sources. */
  get type(): string {
    return this.types.at(-1) ?? this.fail("it has no type");
  }

  /** Whether a part is there. @param part `ftz`, `wide`, … */
  has(part: string): boolean {
    return this.instruction.parts.includes(part);
  }

  /** An operand that must be there. @param index From 0 */
  operand(index: number): Operand {
    return this.instruction.operands[index] ?? this.fail("an operand is missing");
  }

  /** How many operands there are. */
  get arity(): number {
    return this.instruction.operands.length;
  }

  /** Row that is read. @param index Operand @param width Of the type that it is read as */
  source(index: number, width: Width = 32): number {
    return this.sourceOf(this.operand(index), width);
  }

  /** Row of an operand or of a part of a vector. @param operand The operand @param width As in source */
  sourceOf(operand: Operand, width: Width): number {
    switch (operand.kind) {
      case "register":
        if (operand.register.type === "pred") return this.fail("a predicate is no number");
        if (widthOf(operand.register) !== width) {
          return this.fail(this.#wrongWidth(operand.register));
        }
        return this.layout.of(operand.register);
      case "integer":
        return this.layout.fix(BigInt.asUintN(width, operand.value), width);
      case "float":
        if (operand.width !== width) return this.fail("a float of another width");
        return this.layout.fix(operand.bits, width);
      case "special":
        return this.layout.fix(operand.name, width);
      case "symbol":
        return this.layout.fix(this.address(operand), width);
      default:
        return this.fail("an operand of this form is not supported");
    }
  }

  /** Address of a variable. @param symbol Its name and an offset */
  address(symbol: { readonly name: string; readonly offset: number }): bigint {
    const base = this.symbols.get(symbol.name) ?? this.fail(`${symbol.name} is not declared`);
    return base + BigInt(symbol.offset);
  }

  /** Row that is written. @param index Operand @param width Of the type */
  target(index: number, width: Width = 32): number {
    return this.targetOf(this.operand(index), width);
  }

  /** As target, for a part of a vector. @param operand The operand */
  targetOf(operand: Operand, width: Width): number {
    if (operand.kind === "sink") return 0;
    if (operand.kind !== "register" || operand.register.type === "pred") {
      return this.fail("the destination is no register");
    }
    if (widthOf(operand.register) !== width) return this.fail(this.#wrongWidth(operand.register));
    return this.layout.of(operand.register);
  }

  /** Width of the row of a register operand; that of the type for others. @param operand The operand */
  widthOf(operand: Operand, otherwise: Width = 32): Width {
    return operand.kind === "register" ? widthOf(operand.register) : otherwise;
  }

  /** Index of a predicate. @param operand The operand */
  predicate(operand: Operand): number {
    if (operand.kind === "sink") return DROPPED;
    if (operand.kind !== "register" || operand.register.type !== "pred") {
      return this.fail("a predicate is wanted");
    }
    return this.layout.of(operand.register);
  }

  /** A predicate that is read: its index, and what it is flipped with. @param operand The operand */
  condition(operand: Operand): { readonly index: number; readonly flip: number } {
    if (operand.kind === "integer") {
      // A constant: the predicate that is always clear, flipped or not.
      return { index: CLEAR, flip: operand.value === 0n ? 0 : -1 };
    }
    const index = this.predicate(operand);
    return { index, flip: operand.kind === "register" && operand.negated ? -1 : 0 };
  }

  /** The items of a vector, or the operand alone. @param index Operand */
  items(index: number): readonly Operand[] {
    const operand = this.operand(index);
    return operand.kind === "vector" ? operand.items : [operand];
  }

  /** A constant operand's value. @param index Operand */
  constant(index: number): number {
    const operand = this.operand(index);
    if (operand.kind !== "integer") return this.fail("a constant is wanted");
    return Number(operand.value);
  }

  /** The hard error: nothing is guessed. @param why What is not known */
  fail(why: string): never {
    const { opcode, line, source } = this.instruction;
    throw ptxError(`${opcode}: ${why}`, line, source);
  }

  #wrongWidth(register: Register): string {
    return `${register.name} of type .${register.type} does not fit`;
  }
}
