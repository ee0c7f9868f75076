/**
 * Renders templates: nunjucks under the two guards of guards.ts, with filters for numbers as C++ writes them.
 * @module
 */
import nunjucks from "nunjucks";
import { Bug } from "../errors.ts";
import { namesOf, strict, TEMPLATE_OPTIONS } from "./guards.ts";

/** Where pacac's own templates lie. */
export const TEMPLATES: string = decodeURIComponent(
  new URL("../../templates", import.meta.url).pathname,
);

/** What every template may call beside its context. */
const GLOBALS = ["range", "cycler", "joiner"];

/** Renders templates; of several folders the first that has one gives it. */
export class Renderer {
  readonly #folders: readonly string[];
  readonly #environment: nunjucks.Environment;
  readonly #checked = new Map<string, string>();

  /** @param folders The folders that template names are relative to */
  constructor(folders: readonly string[] = [TEMPLATES]) {
    this.#folders = folders;
    this.#environment = new nunjucks.Environment(new nunjucks.FileSystemLoader([...folders]), {
      ...TEMPLATE_OPTIONS,
      throwOnUndefined: true,
    });
    this.#environment.addFilter("cFloat", cFloat);
    this.#environment.addFilter("hex", hex);
  }

  /**
   * The text of a template under a context.
   * @param template Its name, relative to the folder
   * @param context All that it may read: plain data
   * @throws {Bug} Where the template reads what the context does not have
   */
  render(template: string, context: Readonly<Record<string, unknown>>): string {
    this.#check(template, Object.keys(context));
    const guarded = Object.fromEntries(
      Object.entries(context).map(([name, value]) => [name, strict(value, name)]),
    );
    let text: string;
    try {
      text = this.#environment.render(template, guarded);
    } catch (error) {
      throw new Bug(`Cannot render ${template}: ${messageOf(error)}`, { cause: error });
    }
    return refuseLeaks(text, template);
  }

  /** Guard 1, for a template and those it includes; once for each set of names. */
  #check(template: string, names: readonly string[]): void {
    const key = names.join();
    if (this.#checked.get(template) === key) return;
    const known = new Set([...names, ...GLOBALS]);
    const seen = new Set<string>();
    const open = [template];
    for (let name = open.pop(); name !== undefined; name = open.pop()) {
      if (seen.has(name)) continue;
      seen.add(name);
      const { free, templates } = namesOf(this.#read(name));
      const unknown = free.find((used) => !known.has(used.name));
      if (unknown !== undefined) {
        throw new Bug(
          `Cannot render ${name}:${unknown.line}: it reads ${unknown.name}, there is: ` +
            [...names].join(", "),
        );
      }
      open.push(...templates);
    }
    this.#checked.set(template, key);
  }

  #read(template: string): string {
    for (const folder of this.#folders) {
      try {
        return Deno.readTextFileSync(`${folder}/${template}`);
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
    throw new Bug(`Cannot render ${template}: there is no such template`);
  }
}

/** nunjucks repeats the template's path in front of each message; the innermost sentence says it. */
function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The last net: what only JavaScript prints has no place in C++. */
function refuseLeaks(text: string, template: string): string {
  const leak = text.match(/\bNaN\b|\bundefined\b|\[object/);
  if (leak === null) return text;
  const line = text.slice(0, leak.index).split("\n").length;
  throw new Bug(`Cannot render ${template}: line ${line} of its output has ${leak[0]}`);
}

/**
 * A float32 literal of C++ that reads back as exactly the nearest float32: `9.99999975e-06f`.
 * @param value A finite number
 */
export function cFloat(value: unknown): string {
  if (typeof value !== "number" || !Number.isFinite(value)) {
    throw new Bug(`Cannot write ${String(value)} as a float: it is not a finite number`);
  }
  const single = Math.fround(value);
  if (!Number.isFinite(single)) throw new Bug(`Cannot write ${value} as a float: it is too large`);
  // Nine significant digits tell any two float32 apart; trailing zeros say nothing.
  const [mantissa = "0", exponent = "+0"] = single.toExponential(8).split("e");
  const digits = mantissa.replace(/0+$/, "").replace(/\.$/, ".0");
  const power = Number(exponent);
  if (power >= -4 && power < 9) {
    const plain = String(Number(`${mantissa}e${exponent}`));
    return `${plain.includes(".") ? plain : `${plain}.0`}f`;
  }
  const sign = power < 0 ? "-" : "+";
  return `${digits}e${sign}${String(Math.abs(power)).padStart(2, "0")}f`;
}

/**
 * An integer as C++ writes it in base 16.
 * @param value A non-negative integer
 */
export function hex(value: unknown): string {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) {
    throw new Bug(`Cannot write ${String(value)} in base 16: it is no natural number`);
  }
  return `0x${value.toString(16)}`;
}
