/**
 * Writes the module above programs for several instruction sets: it loads the one that fits the processor.
 * @module
 */
import { StructureKind } from "ts-morph";
import type { ProgramInfo } from "../train/engine.ts";
import { headerOf, printTs, TRAIN_LIBRARY } from "./bindings.ts";

/**
 * trainer.ts or decoder.ts over the folders of the variants.
 * @param info The program's description; what differs between variants is not read
 * @param options Names of the variants, which are their folders, `plain` among them; what kind of program it is
 */
export function emitVariantEntry(
  info: ProgramInfo,
  { variants, decode }: { readonly variants: readonly string[]; readonly decode: boolean },
): string {
  const file = decode ? "decoder" : "trainer", type = decode ? "Decoder" : "Trainer";
  const returned = decode ? type : `${type}<Tensors>`;
  const table = variants.map((isa) => `${isa}: () => import("./${isa}/${file}.ts"),`);
  return printTs(
    headerOf(info, [
      `the ${file}, for ${variants.join(", ")}: load() takes the best that the processor has`,
      `    import { load } from "./${file}.ts";`,
      `    await using ${file} = await load({ weights: "DIR" });`,
      "",
    ]),
    {
      statements: [
        ...[
          {
            from: TRAIN_LIBRARY,
            names: ["chooseVariant", "type LoadOptions", "type NativeOptions", `type ${type}`],
          },
          // The plain program runs everywhere: it says what the processor has.
          { from: "./plain/bindings.ts", names: ["native", ...(decode ? [] : ["type Tensors"])] },
        ].map(({ from, names }) => ({
          kind: StructureKind.ImportDeclaration as const,
          moduleSpecifier: from,
          namedImports: names,
        })),
        {
          kind: StructureKind.ExportDeclaration,
          moduleSpecifier: "./plain/bindings.ts",
          namedExports: ["tensors"],
          leadingTrivia: "\n",
        },
        {
          kind: StructureKind.ExportDeclaration,
          moduleSpecifier: "./plain/bindings.ts",
          namedExports: ["Shapes", "TensorName", "Tensors"],
          isTypeOnly: true,
        },
        `\n/** The programs, the best first. */\nexport const variants = {\n${
          table.map((line) => `  ${line}\n`).join("")
        }} as const;\n`,
        `/** Names of the instruction sets. */\nexport type Isa = keyof typeof variants;\n`,
        {
          kind: StructureKind.Function,
          isExported: true,
          isAsync: true,
          name: "load",
          docs: [{
            description: "Loads weights, and an adapter where one is named, into a fresh program.",
            tags: [
              {
                tagName: "param",
                text: "options Where weights and adapter are, threads; the instruction set, " +
                  "where it is not the processor's best",
              },
              {
                tagName: "throws",
                text:
                  "{PacacError} load-failed, also where the processor lacks the instruction set; " +
                  "model-not-found, weights-mismatch, adapter-invalid",
              },
            ],
          }],
          parameters: [{
            name: "options",
            type: "LoadOptions & NativeOptions & { readonly isa?: string }",
            initializer: "{}",
          }],
          returnType: `Promise<${returned}>`,
          statements: [
            "const carried = Object.keys(variants) as Isa[];",
            "const isa = chooseVariant(carried, native.instructionSets(), options.isa);",
            "const program = await variants[isa]();",
            "return await program.load(options);",
          ],
        },
      ],
    },
  );
}
