/**
 * A data set's card: the `configs` in the YAML at the top of its README.md, which say what files belong to which configuration and
 * split.
 *
 * What is read is the part of YAML that such lists are written in: block mappings and sequences, plain and quoted scalars, lists in
 * brackets. Anything else is an error with its line.
 * @module
 */
import { PacacError } from "../errors.ts";

/** A configuration of a data set. */
export interface DatasetConfig {
  readonly name: string;
  /** Whether it is meant where none is named. */
  readonly isDefault: boolean;
  /** Patterns of paths by split. */
  readonly splits: ReadonlyMap<string, readonly string[]>;
}

/** A value of YAML. */
type Yaml = string | null | readonly Yaml[] | ReadonlyMap<string, Yaml>;

interface Line {
  /** From 1. */
  readonly number: number;
  readonly indent: number;
  readonly text: string;
}

/** More than any list of configurations has. */
const MAX_LINES = 20_000;
const MAX_DEPTH = 16;

/**
 * The configurations that a card lists; none where it lists none.
 * @param text The text of README.md
 * @param file Its path, for errors
 * @throws {PacacError} data-invalid, with the line
 */
export function datasetConfigs(text: string, file: string): DatasetConfig[] {
  const lines = linesOf(text);
  const begin = lines.findIndex(({ indent, text }) => indent === 0 && /^configs:\s*$/.test(text));
  if (begin < 0) return [];
  // A sequence may stand at its key's own indent.
  const after = lines.slice(begin + 1);
  const end = after.findIndex(({ indent, text }) => indent === 0 && !/^-(?:\s|$)/.test(text));
  const reader = new Reader(end < 0 ? after : after.slice(0, end), file);
  const value = reader.block(0);
  if (!isList(value)) throw reader.error(lines[begin], "configs is no list");
  return value.map((one) => configOf(one, () => reader.error(lines[begin], "a configuration")));
}

/** Lines of the front matter that say something. */
function linesOf(text: string): Line[] {
  const all = text.replace(/^\ufeff/, "").split(/\r?\n/, MAX_LINES);
  if (all[0].trimEnd() !== "---") return [];
  const end = all.findIndex((line, i) => i > 0 && line.trimEnd() === "---");
  return all.slice(0, Math.max(end, 0)).flatMap((line, i) => {
    const text = line.trim();
    if (i === 0 || text === "" || text.startsWith("#")) return [];
    return [{ number: i + 1, indent: line.length - line.trimStart().length, text }];
  });
}

class Reader {
  readonly #lines: readonly Line[];
  readonly #file: string;
  #at = 0;

  constructor(lines: readonly Line[], file: string) {
    this.#lines = lines;
    this.#file = file;
  }

  error({ number }: Line, what: string): PacacError {
    return new PacacError("data-invalid", `Cannot read the data set's card: ${what}`, {
      place: { file: this.#file, line: number },
      remedy: "name the files themselves with --data",
    });
  }

  /** A value of lines that stand in from `least` on. */
  block(least: number, depth = 0): Yaml {
    const line = this.#lines.at(this.#at);
    if (line === undefined || line.indent < least) return null;
    if (depth > MAX_DEPTH) throw this.error(line, "it is nested too deep");
    if (/^-(?:\s|$)/.test(line.text)) return this.#sequence(line.indent, depth);
    if (keyOf(line.text) !== undefined) return this.#mapping(line.indent, depth);
    this.#at++;
    return this.#scalar(line, line.text);
  }

  #sequence(indent: number, depth: number): Yaml[] {
    const items: Yaml[] = [];
    for (;;) {
      const line = this.#lines.at(this.#at);
      if (line === undefined || line.indent !== indent || !/^-(?:\s|$)/.test(line.text)) {
        this.#requireEnd(line, indent);
        return items;
      }
      const rest = line.text.slice(1).trimStart();
      const inner = indent + line.text.length - rest.length;
      if (rest === "") {
        this.#at++;
        items.push(this.block(indent + 1, depth + 1));
      } else if (keyOf(rest) !== undefined) {
        items.push(this.#mapping(inner, depth + 1, rest));
      } else {
        this.#at++;
        items.push(this.#scalar(line, rest));
      }
    }
  }

  /** `first` is what stands behind a dash on the line at hand. */
  #mapping(indent: number, depth: number, first?: string): ReadonlyMap<string, Yaml> {
    const map = new Map<string, Yaml>();
    for (let behind = first;; behind = undefined) {
      const line = this.#lines.at(this.#at);
      const text = behind ?? (line?.indent === indent ? line.text : undefined);
      const pair = line === undefined || text === undefined ? undefined : keyOf(text);
      if (line === undefined || pair === undefined) {
        this.#requireEnd(line, indent);
        return map;
      }
      this.#at++;
      // A sequence may stand at its key's own indent.
      const isList = this.#lines.at(this.#at)?.text.match(/^-(?:\s|$)/) !== null;
      const value = pair.rest === ""
        ? this.block(isList ? indent : indent + 1, depth + 1)
        : this.#scalar(line, pair.rest);
      map.set(pair.key, value);
    }
  }

  #requireEnd(line: Line | undefined, indent: number): void {
    if (line !== undefined && line.indent > indent) throw this.error(line, "it stands too far in");
  }

  #scalar(line: Line, text: string): Yaml {
    const plain = withoutComment(text);
    if (/^[&*!|>{%@`]/.test(plain)) throw this.error(line, `"${plain.slice(0, 40)}" is not read`);
    if (!plain.startsWith("[")) return unquoted(plain);
    if (!plain.endsWith("]") || /[[\]{}]/.test(plain.slice(1, -1))) {
      throw this.error(line, "a list in brackets must end on its line");
    }
    const inner = plain.slice(1, -1).trim();
    return inner === "" ? [] : inner.split(",").map((one) => unquoted(one.trim()));
  }
}

/** `key: rest`; a colon inside a plain scalar has no blank behind it. */
function keyOf(text: string): { readonly key: string; readonly rest: string } | undefined {
  const found = /^("[^"]*"|'[^']*'|[^\s"'[\]{}#,&*!|>%@`][^:#]*?)\s*:(?:\s+(.*))?$/.exec(text);
  if (found === null) return undefined;
  const rest = withoutComment(found[2] ?? "");
  return { key: unquoted(found[1]), rest };
}

function withoutComment(text: string): string {
  return /^["']/.test(text) ? text.trim() : text.replace(/(?:^|\s)#.*$/, "").trim();
}

function unquoted(text: string): string {
  if (/^'.*'$/.test(text)) return text.slice(1, -1).replaceAll("''", "'");
  return /^".*"$/.test(text) ? text.slice(1, -1).replaceAll('\\"', '"') : text;
}

function isList(value: Yaml | undefined): value is readonly Yaml[] {
  return Array.isArray(value);
}

function configOf(value: Yaml, fault: () => PacacError): DatasetConfig {
  if (!(value instanceof Map)) throw fault();
  const name = value.get("config_name");
  const folder = value.get("data_dir");
  const prefix = typeof folder === "string" ? `${folder.replace(/\/+$/, "")}/` : "";
  const splits = new Map<string, string[]>();
  const files = value.get("data_files");
  const add = (split: string, paths: Yaml | undefined) => {
    const list = isList(paths) ? paths : [paths];
    for (const path of list) {
      if (typeof path !== "string") throw fault();
      splits.set(split, [...splits.get(split) ?? [], prefix + path.replace(/^\.\//, "")]);
    }
  };
  if (files instanceof Map) files.forEach((paths, split) => add(split, paths));
  else if (isList(files)) {
    for (const one of files) {
      if (!(one instanceof Map)) add("train", one);
      else {
        const split = one.get("split");
        add(typeof split === "string" ? split : "train", one.get("path"));
      }
    }
  } else if (files !== undefined && files !== null) add("train", files);
  else if (prefix !== "") add("", "**");
  return {
    name: typeof name === "string" ? name : "default",
    isDefault: value.get("default") === "true" || name === "default",
    splits,
  };
}
