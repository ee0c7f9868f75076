/**
 * Writes trainer.ts and decoder.ts: what a user imports to fine-tune the compiled model, and to write text with it.
 * @module
 */
import { StructureKind } from "ts-morph";
import type { ProgramInfo } from "../train/engine.ts";
import { GRAPH_FILE } from "./graph_file.ts";
import { headerOf, printTs, TRAIN_LIBRARY } from "./bindings.ts";

/** Where the reference target's interpreter is imported from. */
const REFERENCE_LIBRARY = "@pacac/pacac/reference";

/** What the two modules differ in. */
interface Loaded {
  readonly header: readonly string[];
  /** What load() gives, of the library's. */
  readonly type: string;
  /** Whether that knows the tensors by their names. */
  readonly typed: boolean;
  /** The library's function that fills an engine. */
  readonly loader: string;
}

/**
 * trainer.ts of a program.
 * @param info Its description
 */
export function emitTrainer(info: ProgramInfo): string {
  const save = info.method === "paca" ? "saveAdapter" : "saveMerged";
  return emitModule(info, {
    header: [
      "the trainer",
      '    import { load } from "./trainer.ts";',
      '    await using trainer = await load({ weights: "DIR" });',
      "    const { loss } = await trainer.step({ inputIds, labels, segmentIds });",
      "    for await (const event of trainer.train({ data, steps: 50 })) …",
      `    await trainer.${save}("DIR");`,
      "",
    ],
    type: "Trainer",
    typed: true,
    loader: "loadTrainer",
  });
}

/**
 * decoder.ts of a program.
 * @param info Its description
 */
export function emitDecoder(info: ProgramInfo): string {
  return emitModule(info, {
    header: [
      "the decoder",
      '    import { load } from "./decoder.ts";',
      '    await using decoder = await load({ weights: "DIR" });',
      "    for await (const piece of generate(decoder, { tokenizer, prompt })) …",
      "",
    ],
    type: "Decoder",
    typed: false,
    loader: "loadDecoder",
  });
}

/** How an engine is made: imports, options' type, lines. */
function engineOf({ target }: ProgramInfo): {
  readonly imports: readonly { readonly from: string; readonly names: readonly string[] }[];
  readonly bindings: readonly string[];
  readonly options: string;
  readonly lines: readonly string[];
} {
  if (target === "reference") {
    return {
      imports: [
        { from: "node:fs", names: ["readFileSync"] },
        { from: REFERENCE_LIBRARY, names: ["parse", "ReferenceEngine"] },
      ],
      bindings: ["info"],
      options: "LoadOptions",
      lines: [
        `const graph = parse(readFileSync(new URL("./${GRAPH_FILE}", import.meta.url), "utf8"));`,
        "const engine = new ReferenceEngine(graph, info);",
      ],
    };
  }
  return {
    imports: [{ from: TRAIN_LIBRARY, names: ["NativeEngine", "type NativeOptions"] }],
    bindings: ["constants", "info", "native"],
    options: "LoadOptions & NativeOptions",
    lines: ["const engine = new NativeEngine(native, { ...options, info, constants });"],
  };
}

function emitModule(info: ProgramInfo, { header, type, typed, loader }: Loaded): string {
  const { imports, bindings, options, lines } = engineOf(info);
  const table = typed ? "<Tensors>" : "";
  const used = imports.flatMap(({ from, names }) => from === TRAIN_LIBRARY ? names : []);
  const all = [
    ...imports.filter(({ from }) => from !== TRAIN_LIBRARY),
    { from: TRAIN_LIBRARY, names: sorted([...used, "type LoadOptions", loader, `type ${type}`]) },
    { from: "./bindings.ts", names: [...bindings, ...(typed ? ["type Tensors"] : [])] },
  ];
  return printTs(headerOf(info, header), {
    statements: [
      ...all.map(({ from, names }) => ({
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
        parameters: [{ name: "options", type: options, initializer: "{}" }],
        returnType: `Promise<${type}${table}>`,
        statements: [...lines, `return await ${loader}${table}(engine, options);`],
      },
    ],
  });
}

/** By their names, whether types or not. */
function sorted(names: readonly string[]): string[] {
  const key = (name: string) => name.replace(/^type /, "").toLowerCase();
  return names.toSorted((a, b) => key(a) < key(b) ? -1 : 1);
}
