/**
 * What an entry of the database is valid for: the machine, the compiler, the kernel's text, the call.
 * @module
 */
import { keyOf } from "../build/cache.ts";
import { Headers } from "../build/headers.ts";
import { processorName } from "../build/processor.ts";
import { findToolchain } from "../build/toolchain.ts";
import { namesOf } from "../emit/guards.ts";
import { TEMPLATES } from "../emit/render.ts";
import { PacacError } from "../errors.ts";
import type { Isa, Kernel, KernelCall } from "../targets/target.ts";

/** Where values were measured. */
export interface Place {
  readonly processor: string;
  readonly isa: string;
  readonly threads: number;
  /** The compiler's version and the machine that it compiles for. */
  readonly compiler: string;
}

/**
 * This machine, or undefined where it has no compiler: nothing was tuned here then.
 * @param isa Instruction set
 * @param threads Threads of the program
 */
export function placeOf(isa: Isa, threads: number): Place | undefined {
  const here = processorAndCompiler();
  return here === undefined ? undefined : { ...here, isa: isa.name, threads };
}

/** The machine's part of {@linkcode placeOf}. */
export function processorAndCompiler(): Pick<Place, "processor" | "compiler"> | undefined {
  try {
    const { version, machine } = findToolchain();
    return { processor: processorName(), compiler: `${version} ${machine}` };
  } catch (error) {
    if (error instanceof PacacError && error.code === "toolchain-missing") return undefined;
    throw error;
  }
}

/**
 * All of a call but the values: two calls with one key come to the same code for the same values. A readable part, and a hash of
 * what the template is told where nothing is tuned, which also covers what kernels derive and the defaults themselves.
 * @param kernel The kernel
 * @param call The call
 * @param isa Instruction set
 */
export function callKey(kernel: Kernel, call: KernelCall, isa: Isa): string {
  const operands = call.operands.map(({ name, tensor, written }) => {
    const kind = written ? tensor.role === "gradient" ? "+=" : "=" : ":";
    return `${name}${kind}${tensor.dtype}[${tensor.shape}]`;
  });
  const attributes = Object.entries(call.attributes).sort(([a], [b]) => a < b ? -1 : 1)
    .map(([name, value]) => `${name}:${value}`);
  const context = JSON.stringify(kernel.context(call, kernel.defaults(call, isa), isa));
  const hash = keyOf(context).slice(0, 8);
  return [call.node.op, ...operands, ...attributes, `#${hash}`].join(" ");
}

/** Hashes kernels by their templates, those that these pull in, and the headers that they include. */
export class KernelHashes {
  readonly #headers = new Headers();
  readonly #hashes = new Map<string, string | undefined>();

  /**
   * The hash of a kernel of the cpu target; undefined where there is no such template.
   * @param kernel Its name
   */
  of(kernel: string): string | undefined {
    if (!this.#hashes.has(kernel)) this.#hashes.set(kernel, this.#hash(kernel));
    return this.#hashes.get(kernel);
  }

  #hash(kernel: string): string | undefined {
    if (!/^\w+$/.test(kernel)) return undefined;
    const texts = new Map<string, string>();
    const open = [`cpu/${kernel}.cpp.njk`];
    for (let name = open.pop(); name !== undefined; name = open.pop()) {
      if (texts.has(name)) continue;
      const text = read(name);
      if (text === undefined) return undefined;
      texts.set(name, text);
      open.push(...namesOf(text).templates);
    }
    const sorted = [...texts].sort(([a], [b]) => a < b ? -1 : 1);
    return this.#headers.hash(sorted.flat().join("\n"));
  }
}

function read(template: string): string | undefined {
  try {
    return Deno.readTextFileSync(`${TEMPLATES}/${template}`);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
