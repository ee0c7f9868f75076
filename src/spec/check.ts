/**
 * Type-checks a spec file against pacac's own types with ts-morph, wherever on disk the file lies.
 *
 * A verdict "no errors" is remembered under the hash of pacac's types and the spec, with the hashes of the other
 * files it imports: a second compile of an unchanged spec does not load the TypeScript compiler at all.
 * @module
 */
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Diagnostic, DiagnosticMessageChain, Project, SourceFile } from "ts-morph";
import { PacacError } from "../errors.ts";
import { cacheFolder, near } from "../knobs.ts";
import { ROOT } from "./evaluate.ts";

/** What a remembered verdict holds: the other files of the description and their hashes. */
interface Verdict {
  readonly files: Readonly<Record<string, string>>;
}

/**
 * Checks the types of a spec file and of the files it imports.
 * @param path Absolute path of the file
 * @param options Its text; the cache's folder where it is not the usual one
 * @throws {PacacError} spec-types, for the first error
 */
export async function checkTypes(
  path: string,
  { text, cache = cacheFolder() }: { readonly text: string; readonly cache?: string },
): Promise<void> {
  const folder = join(cache, "types");
  const file = join(folder, `${await keyOf(path, text)}.json`);
  if (await remembered(file)) return;
  const sources = await check(path);
  const files: Record<string, string> = {};
  for (const source of sources) {
    const name = source.getFilePath();
    if (name !== path) files[name] = hash(await readFile(name));
  }
  await remember(folder, { file, verdict: { files } });
}

async function check(path: string): Promise<SourceFile[]> {
  const { Project, ts } = await import("ts-morph");
  const project = new Project({
    skipAddingFilesFromTsConfig: true,
    compilerOptions: {
      strict: true,
      noEmit: true,
      skipLibCheck: true,
      allowImportingTsExtensions: true,
      exactOptionalPropertyTypes: true,
      noImplicitOverride: true,
      resolveJsonModule: true,
      target: ts.ScriptTarget.ESNext,
      module: ts.ModuleKind.ESNext,
      moduleResolution: ts.ModuleResolutionKind.Bundler,
      lib: ["lib.esnext.d.ts"],
      types: [],
      paths: { "@pacac/pacac": [`${ROOT}src/mod.ts`] },
    },
  });
  // A description may print while it is being written; nothing else of the platform is promised to it.
  project.createSourceFile(
    `${ROOT}src/spec/ambient.d.ts`,
    `declare const console: Record<"log" | "info" | "warn" | "error", (...values: unknown[]) => void>;`,
  );
  project.addSourceFileAtPath(path);
  project.resolveSourceFileDependencies();
  const sources = own(project);
  for (const source of sources) {
    const [first] = [
      ...project.getProgram().getSyntacticDiagnostics(source),
      ...project.getProgram().getSemanticDiagnostics(source),
    ];
    if (first !== undefined) throw await typeError(first, source);
  }
  return sources;
}

/** The spec and what it imports, pacac and packages left out; the files imported first come last. */
function own(project: Project): SourceFile[] {
  return project.getSourceFiles().filter((source) => {
    const path = source.getFilePath();
    return !path.startsWith(`${ROOT}src/`) && !path.includes("/node_modules/");
  });
}

async function typeError(diagnostic: Diagnostic, source: SourceFile): Promise<PacacError> {
  const text = diagnostic.getMessageText();
  const message = typeof text === "string" ? text : flatten(text);
  const start = diagnostic.getStart() ?? 0;
  const { line, column } = source.getLineAndColumnAtPos(start);
  const guess = message.match(/Did you mean (?:to write )?['"]+([^'"]+)['"]/)?.[1] ??
    await nearField(source, { start, message });
  const wanted = message.match(/Property '([^']+)' is missing/)?.[1];
  const remedy = guess !== undefined
    ? `did you mean "${guess}"?`
    : wanted !== undefined
    ? `add the field ${wanted}`
    : "correct the type at this place";
  return new PacacError(
    "spec-types",
    `Cannot use the model description: ${message.replace(/\.$/, "")}`,
    { place: { file: source.getFilePath(), line, column }, remedy },
  );
}

/** TypeScript explains from the outside in: the last, innermost reason is what a person can act on. */
function flatten(chain: DiagnosticMessageChain): string {
  const next = chain.getNext()?.[0];
  return next === undefined ? chain.getMessageText() : flatten(next);
}

/** The field that was meant by one that the type does not have; TypeScript itself misses swapped letters. */
async function nearField(
  source: SourceFile,
  { start, message }: { readonly start: number; readonly message: string },
): Promise<string | undefined> {
  const { SyntaxKind } = await import("ts-morph");
  const name = message.match(/'([^']+)' does not exist in type/)?.[1];
  const literal = source.getDescendantAtPos(start)?.getParent()?.getParent();
  if (name === undefined) return undefined;
  const type = literal?.asKind(SyntaxKind.ObjectLiteralExpression)?.getContextualType();
  return near(name, type?.getProperties().map((field) => field.getName()) ?? []);
}

let ownTypes: Promise<string> | undefined;

/** Hash of the spec, its place, and everything of pacac that its types depend on. */
async function keyOf(path: string, text: string): Promise<string> {
  ownTypes ??= hashOwnTypes();
  return hash(JSON.stringify([path, text, await ownTypes, Deno.version.typescript]));
}

async function hashOwnTypes(): Promise<string> {
  const folder = `${ROOT}src/spec`;
  const names = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith(".ts"));
  const files = [...names.sort().map((name) => join(folder, name)), `${ROOT}src/mod.ts`];
  const texts = await Promise.all([...files, `${ROOT}deno.json`].map((file) => readFile(file)));
  return hash(texts.map((text) => hash(text)).join());
}

function hash(data: string | Uint8Array): string {
  return createHash("sha256").update(data).digest("hex");
}

async function remembered(file: string): Promise<boolean> {
  try {
    const { files } = JSON.parse(await readFile(file, "utf8")) as Verdict;
    for (const [path, expected] of Object.entries(files)) {
      if (hash(await readFile(path)) !== expected) return false;
    }
    return true;
  } catch {
    // No verdict, or one that cannot be read: check again.
    return false;
  }
}

/** A cache that cannot be written costs time, not the compile. */
async function remember(
  folder: string,
  { file, verdict }: { readonly file: string; readonly verdict: Verdict },
): Promise<void> {
  const part = `${file}.${crypto.randomUUID()}.part`;
  try {
    await mkdir(folder, { recursive: true });
    await writeFile(part, JSON.stringify(verdict), { flush: true });
    await rename(part, file);
  } catch {
    await Deno.remove(part).catch(() => {});
  }
}
