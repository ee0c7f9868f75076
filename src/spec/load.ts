/**
 * Loads a model description: it is found, type-checked, evaluated without permissions and judged by its schema.
 *
 * The four steps fail with errors of their own that name file, line and field. The type check is the slow one
 * (most of a second), so its verdict is remembered by the hash of everything that it read.
 * @module
 */
import { readdir, readFile, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { $ZodIssue } from "zod/v4/core";
import { PacacError } from "../errors.ts";
import { near } from "../knobs.ts";
import { evaluateSpec } from "./evaluate.ts";
import type { FineTuneSpec } from "./description.ts";
import { fineTuneSchema } from "./schema.ts";

/** A model description that passed every check. */
export interface LoadedSpec {
  readonly spec: FineTuneSpec;
  /** Absolute path of the file. */
  readonly path: string;
  /** The file's text. */
  readonly text: string;
}

/** A spec file is prose of a person: anything larger is another kind of file. */
const MAX_BYTES = 1 << 20;

/**
 * Loads and checks a model description.
 * @param path Absolute path of the .ts file
 * @throws {PacacError} spec-not-found, spec-types, spec-run, spec-shape, spec-value
 */
export async function loadSpec(path: string): Promise<LoadedSpec> {
  const text = await readSpec(path);
  const { checkTypes } = await import("./check.ts");
  await checkTypes(path, { text });
  const value = await evaluateSpec(path);
  return { spec: await judge(value, { path, text }), path, text };
}

/**
 * Gives an error about a field, found after loading, the field's line and column in the spec file.
 * @param error What was thrown
 * @param loaded The description that is being worked on
 * @returns The error with its place, or the same where it concerns no field
 */
export async function blameSpec(
  error: unknown,
  loaded: { readonly path: string; readonly text: string },
): Promise<unknown> {
  if (!(error instanceof PacacError)) return error;
  const { file, field } = error.place;
  const own = field !== undefined && /^(name|model|adapt|train)\b/.test(field);
  if (file !== undefined || !own) return error;
  const { locate } = await import("./locate.ts");
  const place = await locate(loaded.text, { file: loaded.path, field });
  return new PacacError(error.code, error.message, {
    place,
    remedy: error.remedy,
    cause: error.cause,
  });
}

async function readSpec(path: string): Promise<string> {
  const info = await stat(path).catch(() => undefined);
  if (info === undefined) throw await notFound(path);
  const refuse = (state: string) =>
    new PacacError("spec-not-found", `Cannot read a model description: ${state}`, {
      place: { file: path },
      remedy: "name a TypeScript file whose default export is fineTune({ … })",
    });
  if (!info.isFile()) throw refuse("it is a folder, not a file");
  if (!path.endsWith(".ts")) throw refuse("its name does not end in .ts");
  if (info.size > MAX_BYTES) throw refuse(`it has ${info.size} bytes, at most ${MAX_BYTES} do`);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(await readFile(path));
  } catch (cause) {
    if (cause instanceof TypeError) throw refuse("it is not UTF-8 text");
    throw new PacacError("io", "Cannot read the model description: the system refuses", {
      place: { file: path },
      remedy: "check the file's permissions",
      cause,
    });
  }
}

async function notFound(path: string): Promise<PacacError> {
  const folder = dirname(path);
  const names = await readdir(folder).catch(() => undefined);
  const specs = names?.filter((name) => name.endsWith(".ts") && !name.endsWith("_test.ts")) ?? [];
  const guess = near(basename(path), specs);
  const remedy = names === undefined
    ? `make the folder ${folder}, or correct the path`
    : guess !== undefined
    ? `did you mean ${join(folder, guess)}?`
    : specs.length > 0
    ? `the folder has ${specs.sort().slice(0, 8).join(", ")}`
    : "correct the path, or start from a copy of models/smollm2.ts";
  return new PacacError("spec-not-found", "Cannot find the model description", {
    place: { file: path },
    remedy,
  });
}

async function judge(
  value: unknown,
  { path, text }: { readonly path: string; readonly text: string },
): Promise<FineTuneSpec> {
  const result = fineTuneSchema.safeParse(value);
  if (result.success) return result.data;
  const issue: $ZodIssue = result.error.issues[0];
  const unknown = issue.code === "unrecognized_keys" ? [issue.keys[0]] : [];
  const field = fieldOf([...issue.path, ...unknown]);
  const { locate } = await import("./locate.ts");
  const got = issue.path.reduce<unknown>((at, key) => Object(at)[key], value);
  throw new PacacError(
    "spec-value",
    `Cannot use ${field || "the default export"}: ${say(issue, got)}`,
    { place: await locate(text, { file: path, field }), remedy: remedyFor(issue, field) },
  );
}

/** `["adapt", "targets", 1]` as `adapt.targets[1]`. */
function fieldOf(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === "number") return `${text}[${key}]`;
    return text === "" ? String(key) : `${text}.${String(key)}`;
  }, "");
}

/** zod's words, made lower case, with the value that they are about. */
function say(issue: $ZodIssue, got: unknown): string {
  const message = issue.message.replace(/^[^:]*: (?=expected)/, "")
    .replace(/, received \w+$/, "").replace("expected int", "expected an integer");
  const shown = typeof got === "string" ? JSON.stringify(got) : String(got);
  const told = ["number", "string", "boolean", "undefined"].includes(typeof got) &&
    !/ got /.test(message);
  return message.charAt(0).toLowerCase() + message.slice(1) +
    (told ? `, got ${shown.slice(0, 80)}` : "");
}

function remedyFor(issue: $ZodIssue, field: string): string {
  switch (issue.code) {
    case "too_small":
      return `choose ${issue.inclusive === false ? "more than" : "at least"} ${issue.minimum}`;
    case "too_big":
      return `choose ${issue.inclusive === false ? "less than" : "at most"} ${issue.maximum}`;
    case "invalid_value":
      return `write one of ${issue.values.map((value) => JSON.stringify(value)).join(", ")}`;
    case "unrecognized_keys":
      return `remove ${issue.keys.join(", ")}`;
    case "invalid_format":
      return "choose a name such as my-model";
    case "invalid_type":
      return field === ""
        ? "make the default export the result of fineTune({ … })"
        : `give ${field} ${article(issue.expected)}`;
    default:
      return "see the field's documentation in src/spec/fine_tune.ts";
  }
}

function article(noun: string): string {
  return `${/^[aeiou]/.test(noun) ? "an" : "a"} ${noun === "int" ? "integer" : noun}`;
}
