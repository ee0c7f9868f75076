/**
 * Error cases: one text file each, with the files of the case, the command, and what it must say.
 *
 *     A title that says what is wrong
 *     env NAME=VALUE
 *     copy models/tiny/tokenizer.json model/tokenizer.json
 *     $ compile spec.ts
 *     -- spec.ts --
 *     …
 *     -- exit --
 *     1
 *     -- stderr --
 *     error[spec-value]: DIR/spec.ts:4:9 (adapt.rank): …
 *
 * Files are text files, not .ts files of their own, since many of them are not TypeScript that formats or checks.
 * A .safetensors file that starts with { is a header: its length goes before it and zeros behind it.
 * ROOT in a file or the command stands for the repository, DIR in the output for the case's folder.
 * @module
 */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");

/** A case, read. */
export interface ErrorCase {
  readonly name: string;
  readonly title: string;
  readonly environment: Readonly<Record<string, string>>;
  /** From the repository, to the case's folder. */
  readonly copies: readonly (readonly string[])[];
  readonly command: readonly string[];
  readonly files: ReadonlyMap<string, string>;
  readonly exit: string;
  readonly stderr: string;
}

/** What a command did. */
export interface Result {
  readonly exit: string;
  readonly stderr: string;
  readonly stdout: string;
}

/**
 * Reads a case.
 * @param name The file's name without its extension
 * @param text The file's text
 */
export function parseCase(name: string, text: string): ErrorCase {
  const [head, ...sections] = text.split(/^(?=-- .+ --\n)/m);
  const files = new Map(sections.map((section) => {
    const [line] = section.split("\n", 1);
    return [line.slice(3, -3), section.slice(line.length + 1)] as const;
  }));
  const lines = head.trim().split("\n");
  const environment = lines.filter((line) => line.startsWith("env "))
    .map((line) => line.slice(4).split("=", 2));
  const copies = lines.filter((line) => line.startsWith("copy "))
    .map((line) => line.slice(5).split(" "));
  const command = lines.find((line) => line.startsWith("$ ")) ?? "$ help";
  const take = (section: string) => {
    const value = files.get(section) ?? "";
    files.delete(section);
    return value;
  };
  return {
    name,
    title: lines[0],
    environment: Object.fromEntries(environment),
    copies,
    command: command.slice(2).split(" ").map((word) => word.replaceAll("ROOT", ROOT)),
    exit: take("exit").trim(),
    stderr: take("stderr"),
    files,
  };
}

/**
 * Runs a case in a folder of its own.
 * @param given The case
 */
export async function runCase(given: ErrorCase): Promise<Result> {
  const dir = await Deno.makeTempDir({ prefix: "pacac_error_" });
  try {
    for (const [name, text] of given.files) {
      await Deno.mkdir(dirname(join(dir, name)), { recursive: true });
      await Deno.writeFile(join(dir, name), contentOf(name, text.replaceAll("ROOT", ROOT)));
    }
    for (const [from, to] of given.copies) {
      await Deno.mkdir(dirname(join(dir, to)), { recursive: true });
      await Deno.copyFile(join(ROOT, from), join(dir, to));
    }
    const result = await runCommand(given.command, { dir, environment: given.environment });
    // What was said on the way has times in it.
    const stderr = result.stderr.slice(Math.max(0, result.stderr.search(/^error\[/m)));
    return { ...result, stderr: neutral(stderr) };
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

function contentOf(name: string, text: string): Uint8Array {
  const bytes = new TextEncoder().encode(text);
  if (!name.endsWith(".safetensors") || !text.startsWith("{")) return bytes;
  const header = JSON.parse(text) as Record<string, { data_offsets: [number, number] }>;
  const ends = Object.values(header).map(({ data_offsets }) => data_offsets[1]);
  const file = new Uint8Array(8 + bytes.length + Math.max(0, ...ends));
  new DataView(file.buffer).setBigUint64(0, BigInt(bytes.length), true);
  file.set(bytes, 8);
  return file;
}

/** What differs from machine to machine. */
function neutral(text: string): string {
  return text.replace(/(?<=or one of )[\w, ]+$/m, "ISAS").replace(
    /(?<=install one \()[^)]+/,
    "HOW",
  );
}

/**
 * Runs a command as its task does, in a child.
 * @param command Name of the command and its arguments
 * @param options Folder that paths are relative to; more environment variables
 */
export async function runCommand(
  command: readonly string[],
  { dir, environment = {} }: {
    readonly dir: string;
    readonly environment?: Readonly<Record<string, string>>;
  },
): Promise<Result> {
  const permissions = ["read", "write", "run", "env", "sys", "ffi"].map((name) =>
    `--allow-${name}`
  );
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--quiet", ...permissions, `${ROOT}/src/cli/main.ts`, ...command],
    cwd: ROOT,
    env: { NO_COLOR: "1", INIT_CWD: dir, PACAC_CACHE: join(dir, "cache"), ...environment },
    stdin: "null",
  }).output();
  const text = (bytes: Uint8Array) =>
    new TextDecoder().decode(bytes).replaceAll(dir, "DIR").replaceAll(ROOT, "ROOT");
  return { exit: `${code}`, stdout: text(stdout), stderr: text(stderr) };
}

/**
 * The case's text with what the command said now.
 * @param text The file's text
 * @param result What it said
 */
export function updateCase(text: string, { exit, stderr }: Result): string {
  const kept = text.replace(/^-- exit --\n[\s\S]*$/m, "");
  return `${kept}-- exit --\n${exit}\n-- stderr --\n${stderr}`;
}
