/**
 * Writes trainer.ts: what a user imports to fine-tune the compiled model.
 * @module
 */
import { StructureKind } from "ts-morph";
import type { ProgramInfo } from "../train/engine.ts";
import { GRAPH_FILE } from "./graph_file.ts";
import { headerOf, printTs, TRAIN_LIBRARY } from "./bindings.ts";

/** Where the reference target's interpreter is imported from. */
export const REFERENCE_LIBRARY = "@pacac/pacac/reference";

/**
 * trainer.ts of a program.
 * @param info Its description
 */
export function emitTrainer(info: ProgramInfo): string {
  return info.target === "reference" ? referenceTrainer(info) : nativeTrainer(info);
}

function header(info: ProgramInfo): string {
  const save = info.method === "paca" ? "saveAdapter" : "saveMerged";
  return headerOf(info, [
    "the trainer",
    '    import { load } from "./trainer.ts";',
    '    await using trainer = await load({ weights: "DIR" });',
    "    const { loss } = await trainer.step({ inputIds, labels, segmentIds });",
    "    for await (const event of trainer.train({ data, steps: 50 })) …",
    `    await trainer.${save}("DIR");`,
    "",
  ]);
}

interface Body {
  readonly imports: readonly { readonly from: string; readonly names: readonly string[] }[];
  /** Lines of load() before the last. */
  readonly lines: readonly string[];
  /** Base of the options' type. */
  readonly options: string;
}

function nativeTrainer(info: ProgramInfo): string {
  return trainerFile(info, {
    imports: [
      {
        from: TRAIN_LIBRARY,
        names: [
          "type LoadOptions",
          "loadTrainer",
          "NativeEngine",
          "type NativeOptions",
          "type Trainer",
        ],
      },
      { from: "./bindings.ts", names: ["constants", "info", "native", "type Tensors"] },
    ],
    options: "LoadOptions & NativeOptions",
    lines: ["const engine = new NativeEngine(native, { ...options, info, constants });"],
  });
}

function referenceTrainer(info: ProgramInfo): string {
  return trainerFile(info, {
    imports: [
      { from: "node:fs", names: ["readFileSync"] },
      { from: REFERENCE_LIBRARY, names: ["parse", "ReferenceEngine"] },
      { from: TRAIN_LIBRARY, names: ["type LoadOptions", "loadTrainer", "type Trainer"] },
      { from: "./bindings.ts", names: ["info", "type Tensors"] },
    ],
    options: "LoadOptions",
    lines: [
      `const graph = parse(readFileSync(new URL("./${GRAPH_FILE}", import.meta.url), "utf8"));`,
      "const engine = new ReferenceEngine(graph, info);",
    ],
  });
}

function trainerFile(info: ProgramInfo, body: Body): string {
  return printTs(header(info), {
    statements: [
      ...body.imports.map(({ from, names }) => ({
        kind: StructureKind.ImportDeclaration as const,
        moduleSpecifier: from,
        namedImports: [...names],
      })),
      {
        kind: StructureKind.ExportDeclaration,
        moduleSpecifier: "./bindings.ts",
        namedExports: ["info", "tensors"],
        leadingTrivia: "\n",
      },
      {
        kind: StructureKind.ExportDeclaration,
        moduleSpecifier: "./bindings.ts",
        namedExports: ["Shapes", "TensorName", "Tensors"],
        isTypeOnly: true,
      },
      {
        kind: StructureKind.Function,
        isExported: true,
        isAsync: true,
        name: "load",
        docs: [{
          description: "Loads weights, and an adapter where one is named, into a fresh program.",
          tags: [
            { tagName: "param", text: "options Where weights and adapter are, threads" },
            {
              tagName: "throws",
              text: "{PacacError} model-not-found, weights-mismatch, adapter-invalid, load-failed",
            },
          ],
        }],
        parameters: [{ name: "options", type: body.options, initializer: "{}" }],
        returnType: "Promise<Trainer<Tensors>>",
        statements: [...body.lines, "return await loadTrainer<Tensors>(engine, options);"],
      },
    ],
  });
}
