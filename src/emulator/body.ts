/**
 * The grammar of an entry's body: declarations in scopes, labels, `.loc`, instructions with their operands.
 * @module
 */
import type { Cursor } from "./cursor.ts";
import type { LineTable } from "./lines.ts";
import {
  type Entry,
  type Guard,
  type Instruction,
  isType,
  type Operand,
  ptxError,
  type Register,
  type SourceChain,
  type Variable,
} from "./syntax.ts";
import { parseVariables } from "./variables.ts";

type Body = Pick<Entry, "instructions" | "labels" | "tables" | "variables">;

/**
 * Reads a body, its opening brace taken already.
 * @param cursor Stands behind the brace
 * @param lines The module's line table
 * @throws {PacacError} ptx-invalid
 */
export function parseBody(cursor: Cursor, lines: LineTable): Body {
  return new BodyParser(cursor, lines).parse();
}

const REGISTER_LIMIT = 1 << 20;

class BodyParser {
  readonly #cursor: Cursor;
  readonly #lines: LineTable;
  /** Innermost scope last: the braces of inline assembly may declare a name again. */
  readonly #scopes: Map<string, Register>[] = [new Map()];
  readonly #instructions: Instruction[] = [];
  readonly #labels = new Map<string, number>();
  readonly #tables = new Map<string, readonly string[]>();
  readonly #variables: Variable[] = [];
  #source: SourceChain = [];
  #registers = 0;

  constructor(cursor: Cursor, lines: LineTable) {
    this.#cursor = cursor;
    this.#lines = lines;
  }

  parse(): Body {
    while (this.#scopes.length > 0) this.#statement();
    return {
      instructions: this.#instructions,
      labels: this.#labels,
      tables: this.#tables,
      variables: this.#variables,
    };
  }

  #statement(): void {
    const cursor = this.#cursor;
    if (cursor.accept("{")) this.#scopes.push(new Map());
    else if (cursor.accept("}")) this.#scopes.pop();
    else if (cursor.accept(";")) return;
    else if (cursor.second === ":" && cursor.next !== "@") this.#label();
    else if (cursor.accept(".reg")) this.#declare();
    else if (cursor.accept(".loc")) this.#source = this.#lines.location(cursor.restOfLine());
    else if (cursor.accept(".file")) cursor.restOfLine();
    else if (cursor.accept(".pragma")) cursor.restOfLine();
    else if (/^\.(?:shared|local)$/.test(cursor.next)) {
      this.#variables.push(...parseVariables(cursor, cursor.take()));
    } else if (cursor.next.startsWith(".")) {
      throw ptxError(`"${cursor.next}" is not known in a body`, cursor.line, this.#source);
    } else this.#instruction();
  }

  #label(): void {
    const cursor = this.#cursor;
    const name = cursor.take();
    cursor.expect(":");
    if (!cursor.accept(".branchtargets")) {
      this.#labels.set(name, this.#instructions.length);
      return;
    }
    const targets = [cursor.take()];
    while (cursor.accept(",")) targets.push(cursor.take());
    this.#tables.set(name, targets);
  }

  /** `.reg .b32 %r<5>, t;` */
  #declare(): void {
    const cursor = this.#cursor;
    const { line } = cursor;
    const type = cursor.take().slice(1);
    if (!isType(type)) throw ptxError(`registers of type .${type} are not known`, line);
    const scope = this.#scopes.at(-1) ?? new Map<string, Register>();
    do {
      const name = cursor.take();
      const count = cursor.accept("<") ? cursor.size() : undefined;
      if (count !== undefined) cursor.expect(">");
      this.#registers += count ?? 1;
      if (this.#registers > REGISTER_LIMIT) throw ptxError("too many registers", line);
      if (count === undefined) scope.set(name, { name, type });
      for (let i = 0; i < (count ?? 0); i++) {
        scope.set(`${name}${i}`, { name: `${name}${i}`, type });
      }
    } while (cursor.accept(","));
    cursor.expect(";");
  }

  #instruction(): void {
    const cursor = this.#cursor;
    const { line } = cursor;
    const guard = cursor.accept("@") ? this.#guard() : undefined;
    const opcode = cursor.take();
    const [name, ...parts] = opcode.split(".");
    if (name === "call") {
      const target = cursor.restOfLine().find((word) => /^[\w$]{2,}$/.test(word)) ?? "a function";
      throw ptxError(`it calls ${target}: only inlined functions run`, line, this.#source);
    }
    const operands: Operand[] = [];
    while (!cursor.accept(";")) {
      operands.push(this.#operand());
      if (cursor.next !== ";") cursor.expect(",");
    }
    const source = this.#source;
    this.#instructions.push({ opcode, name, parts, operands, guard, line, source });
  }

  #guard(): Guard {
    const negated = this.#cursor.accept("!");
    const { line } = this.#cursor;
    const name = this.#cursor.take();
    const register = this.#lookUp(name);
    if (register?.type !== "pred") throw ptxError(`${name} is no predicate`, line, this.#source);
    return { register, negated };
  }

  #lookUp(name: string): Register | undefined {
    for (let i = this.#scopes.length - 1; i >= 0; i--) {
      const found = this.#scopes[i].get(name);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #operand(): Operand {
    const cursor = this.#cursor;
    const first = this.#single();
    return cursor.accept("|") ? { kind: "pair", first, second: this.#single() } : first;
  }

  #single(): Operand {
    const cursor = this.#cursor;
    if (cursor.accept("{")) return this.#vector();
    if (cursor.accept("[")) return this.#address();
    const negated = cursor.accept("!");
    if (/^0[fFdD]/.test(cursor.next)) {
      const text = cursor.take();
      const width = text.length === 10 ? 32 : 64;
      return { kind: "float", bits: BigInt(`0x${text.slice(2)}`), width };
    }
    if (/^[-\d]/.test(cursor.next)) return { kind: "integer", value: cursor.integer() };
    const { line } = cursor;
    const name = cursor.take();
    if (name === "_") return { kind: "sink" };
    const register = this.#lookUp(name);
    if (register !== undefined) return { kind: "register", register, negated };
    if (name.startsWith("%")) return { kind: "special", name };
    if (!/^[\w$]/.test(name)) throw ptxError(`"${name}" is no operand`, line, this.#source);
    return { kind: "symbol", name, offset: this.#offset() };
  }

  #vector(): Operand {
    const items: Operand[] = [];
    while (!this.#cursor.accept("}")) {
      items.push(this.#single());
      this.#cursor.accept(",");
    }
    return { kind: "vector", items };
  }

  #address(): Operand {
    const base = /^[-\d]/.test(this.#cursor.next) ? undefined : this.#single();
    const offset = base === undefined ? Number(this.#cursor.integer()) : this.#offset();
    if (this.#cursor.next !== "]") {
      throw ptxError("this form of address is not supported", this.#cursor.line, this.#source);
    }
    this.#cursor.expect("]");
    return { kind: "address", base, offset };
  }

  /** `+4`, `+-4`, `-4` or nothing. */
  #offset(): number {
    const cursor = this.#cursor;
    if (cursor.accept("+")) return Number(cursor.integer());
    return cursor.next === "-" ? Number(cursor.integer()) : 0;
  }
}
