/**
 * From a plan to the files of a generated folder.
 * @module
 */
import { type ConstantPlace, type Constants, constantsOf } from "./constants.ts";
import type { Memo } from "./format.ts";
import { renderKernels } from "./kernel_source.ts";
import type { ProgramInfo } from "../train/engine.ts";
import type { Plan } from "../targets/plan.ts";
import { Renderer } from "./render.ts";
import { emitSchedule, type EmittedFile } from "./schedule.ts";
import { emitMain } from "./standalone.ts";

export { formatCpp, type Memo } from "./format.ts";
export type { KernelContext, KernelSource } from "./kernel_source.ts";
export { Renderer, TEMPLATES } from "./render.ts";
export type { EmittedFile } from "./schedule.ts";
export { buildLine } from "./standalone.ts";
export { type GeneratedFile, writeGenerated } from "./write.ts";
export { CONSTANTS_FILE } from "./constants.ts";

/** The native part of a program. */
export interface EmittedProgram {
  /** Kernels, schedule.cpp, program.cpp. */
  readonly sources: readonly EmittedFile[];
  readonly constants: Constants;
  /** main.cpp, where it was asked for. */
  readonly main?: EmittedFile;
}

/** What {@linkcode emitProgram} can be told. */
export interface EmitOptions {
  readonly renderer?: Renderer;
  /** Where formatted texts are kept. */
  readonly memo?: Memo;
  /** cuda: also the main function of a standalone program. */
  readonly standalone?: boolean;
}

/**
 * Writes a plan's C++.
 * @param plan The plan
 * @param options Templates, memo
 */
export function emitProgram(plan: Plan, options: EmitOptions = {}): EmittedProgram {
  const renderer = options.renderer ?? new Renderer();
  const memo = options.memo === undefined ? {} : { memo: options.memo };
  const { isa, name: target } = plan.target;
  const { sources, symbolOf } = renderKernels(plan.calls, { isa, renderer, target, ...memo });
  const schedule = emitSchedule(plan, { renderer, symbolOf, ...memo });
  return {
    sources: [...sources, ...schedule],
    constants: constantsOf(plan.graph),
    ...(options.standalone === true
      ? { main: emitMain(plan, { renderer, symbolOf, ...memo }) }
      : {}),
  };
}

/** What {@linkcode emitTypescript} takes beside the description. */
export interface EmitTypescriptOptions {
  /** File name of the addon; none for the reference target. */
  readonly addon?: string;
  readonly constants?: readonly ConstantPlace[];
  /** Where texts are kept; on a hit ts-morph is not even loaded. */
  readonly memo?: Memo;
  /** Whether the program writes text: decoder.ts in the place of trainer.ts. */
  readonly decode?: boolean;
}

/**
 * Writes bindings.ts and trainer.ts, or decoder.ts.
 * @param info The program
 * @param options Addon, constants, memo
 */
export async function emitTypescript(
  info: ProgramInfo,
  options: EmitTypescriptOptions = {},
): Promise<EmittedFile[]> {
  const { memo, decode = false, ...rest } = options;
  const make: Readonly<Record<string, () => Promise<string>>> = {
    "bindings.ts": async () => (await import("./bindings.ts")).emitBindings(info, rest),
    ...(decode
      ? { "decoder.ts": async () => (await import("./entry.ts")).emitDecoder(info) }
      : { "trainer.ts": async () => (await import("./entry.ts")).emitTrainer(info) }),
  };
  // Texts depend on what is written and on who writes it.
  const writers = ["./bindings.ts", "./entry.ts"].map((file) =>
    Deno.readTextFileSync(new URL(file, import.meta.url))
  );
  return await Promise.all(
    Object.entries(make).map(async ([file, write]) => {
      const key = JSON.stringify([file, info, rest, writers]);
      return { file, source: await (memo?.textLater(key, write) ?? write()) };
    }),
  );
}

/**
 * Writes the module above programs for several instruction sets.
 * @param info The program
 * @param options Their names, what kind of program it is, memo
 */
export async function emitVariants(
  info: ProgramInfo,
  options: {
    readonly variants: readonly string[];
    readonly decode: boolean;
    readonly memo: Memo;
  },
): Promise<EmittedFile> {
  const { memo, ...rest } = options;
  const writer = Deno.readTextFileSync(new URL("./variants.ts", import.meta.url));
  const file = rest.decode ? "decoder.ts" : "trainer.ts";
  const source = await memo.textLater(
    JSON.stringify([file, info, rest, writer]),
    async () => (await import("./variants.ts")).emitVariantEntry(info, rest),
  );
  return { file, source };
}
