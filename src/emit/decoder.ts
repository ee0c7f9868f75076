/**
 * Writes decoder.ts: what a user imports to write text with the compiled model.
 * @module
 */
import { StructureKind } from "ts-morph";
import type { ProgramInfo } from "../train/engine.ts";
import { headerOf, printTs, TRAIN_LIBRARY } from "./bindings.ts";
import { GRAPH_FILE } from "./graph_file.ts";
import { REFERENCE_LIBRARY } from "./trainer.ts";

/**
 * decoder.ts of a program.
 * @param info Its description
 */
export function emitDecoder(info: ProgramInfo): string {
  const reference = info.target === "reference";
  const imports = reference
    ? [
      { from: "node:fs", names: ["readFileSync"] },
      { from: REFERENCE_LIBRARY, names: ["parse", "ReferenceEngine"] },
      { from: TRAIN_LIBRARY, names: ["type Decoder", "loadDecoder", "type LoadOptions"] },
      { from: "./bindings.ts", names: ["info"] },
    ]
    : [
      {
        from: TRAIN_LIBRARY,
        names: [
          "type Decoder",
          "loadDecoder",
          "type LoadOptions",
          "NativeEngine",
          "type NativeOptions",
        ],
      },
      { from: "./bindings.ts", names: ["constants", "info", "native"] },
    ];
  const lines = reference
    ? [
      `const graph = parse(readFileSync(new URL("./${GRAPH_FILE}", import.meta.url), "utf8"));`,
      "const engine = new ReferenceEngine(graph, info);",
    ]
    : ["const engine = new NativeEngine(native, { ...options, info, constants });"];
  const header = headerOf(info, [
    "the decoder",
    '    import { load } from "./decoder.ts";',
    '    await using decoder = await load({ weights: "DIR" });',
    "    for await (const piece of generate(decoder, { tokenizer, prompt })) …",
    "",
  ]);
  return printTs(header, {
    statements: [
      ...imports.map(({ from, names }) => ({
        kind: StructureKind.ImportDeclaration as const,
        moduleSpecifier: from,
        namedImports: names,
      })),
      {
        kind: StructureKind.ExportDeclaration,
        moduleSpecifier: "./bindings.ts",
        namedExports: ["info", "tensors"],
        leadingTrivia: "\n",
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
        parameters: [{
          name: "options",
          type: reference ? "LoadOptions" : "LoadOptions & NativeOptions",
          initializer: "{}",
        }],
        returnType: "Promise<Decoder>",
        statements: [...lines, "return await loadDecoder(engine, options);"],
      },
    ],
  });
}
