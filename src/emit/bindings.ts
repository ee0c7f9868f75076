/**
 * Writes bindings.ts: the program's tensors as literal types, its description as data, its addon.
 * @module
 */
import {
  IndentationText,
  type OptionalKind,
  Project,
  type SourceFileStructure,
  type StatementStructures,
  StructureKind,
} from "ts-morph";
import { invariant } from "../errors.ts";
import type { ProgramInfo, Role, TensorInfo } from "../train/engine.ts";
import { type ConstantPlace, CONSTANTS_FILE } from "./constants.ts";

/** What generated code imports the trainer's library as. */
export const TRAIN_LIBRARY = "@pacac/pacac/train";

/** What {@linkcode emitBindings} takes beside the description. */
export interface BindingsOptions {
  /** File name of the addon; none for the reference target. */
  readonly addon?: string;
  readonly constants?: readonly ConstantPlace[];
}

/** Roles in the order of the file, with the comment above each. */
const ROLES: Readonly<Partial<Record<Role, string>>> = {
  weight: "Frozen, mapped from the model's files.",
  parameter: "Trained, float32; all are views of one flat vector.",
  gradient: "Sums over a step's micro-batches.",
  moment: "The optimiser's state.",
  index: "Columns that are trained, sorted.",
  constant: "Filled once.",
  input: "Filled at each step.",
  output: "Read after each step.",
  cache: "Keys and values of the tokens so far.",
};

/**
 * bindings.ts of a program.
 * @param info Its description
 * @param options Its addon and constants
 */
export function emitBindings(info: ProgramInfo, options: BindingsOptions = {}): string {
  const { addon, constants = [] } = options;
  const native = addon === undefined ? [] : nativeStatements(addon, constants);
  return printTs(headerOf(info, ["its tensors, its description, its native code"]), {
    statements: [
      ...importsOf(addon !== undefined),
      tensorsStatement(info.tensors),
      ...typeAliases(info.tensors),
      infoStatement(info),
      ...native,
    ],
  });
}

/**
 * A TypeScript file from its structure.
 * @param header Comment at the top
 * @param structure ts-morph's description of the file
 */
export function printTs(header: string, structure: OptionalKind<SourceFileStructure>): string {
  const project = new Project({
    useInMemoryFileSystem: true,
    manipulationSettings: { indentationText: IndentationText.TwoSpaces },
  });
  return header + project.createSourceFile("generated.ts", structure).getFullText();
}

/**
 * The comment at the top of a generated file.
 * @param info The program
 * @param what What this file is; further lines follow below it
 */
export function headerOf(info: ProgramInfo, what: readonly string[]): string {
  const [first = "", ...more] = what;
  const method = info.method === "paca" ? `PaCA of rank ${info.rank}` : "full fine-tuning";
  const lines = [
    `${info.name} for ${info.target}: ${first}.`,
    "",
    ...more,
    `${
      capital(method)
    }, ${info.batch} x ${info.seqLen} tokens a micro-batch, ${info.storage} storage.`,
    "Written by pacac: change the model description and compile again, not this file.",
    "@module",
  ];
  return `/**\n${lines.map((line) => line === "" ? " *" : ` * ${line}`).join("\n")}\n */\n`;
}

type Statement = string | StatementStructures;

function importsOf(native: boolean): Statement[] {
  const names = native ? ["ConstantSource", "NativeModule"] : [];
  const types = [...names, "ProgramInfo", "TensorInfo"].map((name) => ({ name, isTypeOnly: true }));
  const library: Statement = {
    kind: StructureKind.ImportDeclaration,
    moduleSpecifier: TRAIN_LIBRARY,
    namedImports: native ? [...types, { name: "openAddon" }] : types,
  };
  if (!native) return [library];
  const url: Statement = {
    kind: StructureKind.ImportDeclaration,
    moduleSpecifier: "node:url",
    namedImports: ["fileURLToPath"],
  };
  return [url, library];
}

/** As text: ts-morph's printer would hang long lists under their names. */
function exportConst(
  name: string,
  initializer: string,
  rest: { readonly doc: string; readonly type?: string },
): Statement {
  const type = rest.type === undefined ? "" : `: ${rest.type}`;
  return `\n/** ${rest.doc} */\nexport const ${name}${type} = ${initializer};`;
}

function tensorsStatement(tensors: readonly TensorInfo[]): Statement {
  const lines = Object.entries(ROLES).flatMap(([role, comment]) => {
    const some = tensors.filter((tensor) => tensor.role === role);
    return some.length === 0 ? [] : [`// ${role}: ${comment}`, ...some.map(tensorLine)];
  });
  const text = `${block("{", lines, "}")} as const satisfies Readonly<Record<string, TensorInfo>>`;
  return exportConst("tensors", text, { doc: "Every tensor that has a name outside the program." });
}

/** Lines between brackets, indented. */
function block(open: string, lines: readonly string[], close: string): string {
  return lines.length === 0
    ? open + close
    : `${open}\n${lines.map((line) => `  ${line.replaceAll("\n", "\n  ")}\n`).join("")}${close}`;
}

function tensorLine({ name, shape, dtype, role }: TensorInfo): string {
  const key = JSON.stringify(name);
  invariant(key !== '"__proto__"', "a tensor's name would set a prototype");
  return `${key}: { name: ${key}, shape: [${
    shape.join(", ")
  }], dtype: "${dtype}", role: "${role}" },`;
}

function typeAliases(tensors: readonly TensorInfo[]): Statement[] {
  const alias = (name: string, type: string, doc: string): Statement => ({
    kind: StructureKind.TypeAlias,
    isExported: true,
    name,
    type,
    docs: [doc],
    leadingTrivia: "\n",
  });
  const roles = Object.keys(ROLES).filter((role) => tensors.some((tensor) => tensor.role === role));
  return [
    alias("Tensors", "typeof tensors", "Tensors by name."),
    alias("TensorName", "keyof Tensors", "Names of tensors."),
    alias(
      "Shapes",
      '{ readonly [Name in TensorName]: Tensors[Name]["shape"] }',
      "Shapes by name, as literal types.",
    ),
    alias(
      'NamesOf<Role extends TensorInfo["role"]>',
      "{ [Name in TensorName]: Tensors[Name] extends { readonly role: Role } ? Name : never }[TensorName]",
      "Names of the tensors of a role.",
    ),
    ...roles.map((role) =>
      alias(`${capital(role)}Name`, `NamesOf<"${role}">`, `Names of ${role} tensors.`)
    ),
  ];
}

function capital(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

function infoStatement(info: ProgramInfo): Statement {
  const lines = Object.entries(info).filter(([key]) => key !== "tensors").map(([key, value]) =>
    `${key}: ${listText(value)},`
  );
  return exportConst("info", block("{", [...lines, "tensors: Object.values(tensors),"], "}"), {
    doc: "What the trainer knows of the program.",
    type: "ProgramInfo",
  });
}

/** Lists get a line an item, anything else one line. */
function listText(value: unknown): string {
  return Array.isArray(value)
    ? block("[", value.map((item) => `${dataText(item)},`), "]")
    : dataText(value);
}

/** Data as TypeScript writes it: keys without quotes where they are names. */
function dataText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(dataText).join(", ")}]`;
  if (typeof value === "object" && value !== null) {
    const fields = Object.entries(value).map(([key, field]) =>
      `${/^[A-Za-z_]\w*$/.test(key) && key !== "__proto__" ? key : `[${JSON.stringify(key)}]`}: ${
        dataText(field)
      }`
    );
    return fields.length === 0 ? "{}" : `{ ${fields.join(", ")} }`;
  }
  return JSON.stringify(value);
}

function nativeStatements(addon: string, constants: readonly ConstantPlace[]): Statement[] {
  const path = (file: string) => `fileURLToPath(new URL("./${file}", import.meta.url))`;
  const places = constants.map(({ name, byteOffset }) =>
    `{ name: ${JSON.stringify(name)}, file: ${path(CONSTANTS_FILE)}, byteOffset: ${byteOffset} },`
  );
  return [
    exportConst("constants", block("[", places, "]"), {
      doc: "Tensors that are filled once, and where their values lie.",
      type: "readonly ConstantSource[]",
    }),
    exportConst("native", `openAddon(${path(addon)})`, {
      doc: "The program's native code; the file's name is a hash of what it was built from.",
      type: "NativeModule",
    }),
  ];
}
