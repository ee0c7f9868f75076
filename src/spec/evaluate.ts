/**
 * Evaluates a spec file in a child process that has no permission at all, ten seconds and bounded output.
 *
 * A spec is a program: it may loop for ever, print, or throw. Its value comes back as JSON on standard output;
 * what it prints itself goes to standard error and is dropped unless the child dies.
 * @module
 */
import { fileURLToPath, pathToFileURL } from "node:url";
import { PacacError, type Place } from "../errors.ts";

/** pacac's own folder, where deno.json lies. */
export const ROOT: string = fileURLToPath(new URL("../..", import.meta.url));

const TIMEOUT_MS = 10_000;
const MAX_OUTPUT = 64 << 20;

/** What the child prints. */
type Outcome =
  | { readonly value: unknown }
  | { readonly missing: readonly string[] }
  | { readonly error: { readonly name: string; readonly message: string; readonly stack: string } };

/**
 * The value of a spec file's default export.
 * @param path Absolute path of the file
 * @throws {PacacError} spec-run, spec-shape, spec-value
 */
export async function evaluateSpec(path: string): Promise<unknown> {
  const url = pathToFileURL(path).href;
  const { stdout, stderr } = await runChild(path, program(url));
  const outcome = parse(stdout);
  if (outcome === undefined) throw died(path, stderr);
  if ("value" in outcome) return outcome.value;
  if ("missing" in outcome) throw noDefault(path, outcome.missing);
  throw thrown(outcome.error, { path, url });
}

/**
 * The child's program. `import()` of a literal needs no permission; numbers that JSON does not have become
 * marked objects; the spec's own printing goes to standard error so that it cannot pose as the result.
 */
function program(url: string): string {
  return `
const write = Deno.stdout.writeSync.bind(Deno.stdout);
const stringify = JSON.stringify, encode = TextEncoder.prototype.encode.bind(new TextEncoder());
for (const name of ["log", "info", "debug", "table", "dir"]) console[name] = console.error;
const plain = (_, v) => typeof v === "number" && !Number.isFinite(v) ? { $number: String(v) } : v;
let outcome;
try {
  const module = await import(${JSON.stringify(url)});
  outcome = "default" in module && module.default !== undefined
    ? stringify({ value: module.default }, plain)
    : stringify({ missing: Object.keys(module) });
} catch (error) {
  const e = error instanceof Error ? error : new Error(String(error));
  outcome = stringify({ error: { name: e.name, message: e.message, stack: String(e.stack) } });
}
const bytes = encode(outcome);
for (let done = 0; done < bytes.length;) done += write(bytes.subarray(done));
`;
}

async function runChild(
  path: string,
  source: string,
): Promise<{ readonly stdout: string; readonly stderr: string }> {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-prompt",
      "--quiet",
      "--no-remote",
      "--no-check",
      "--v8-flags=--max-old-space-size=512",
      "--config",
      `${ROOT}deno.json`,
      `data:application/javascript,${encodeURIComponent(source)}`,
    ],
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let slow = false;
  const kill = () => {
    try {
      child.kill("SIGKILL");
    } catch {
      // It has ended by itself in the meantime.
    }
  };
  const timer = setTimeout(() => (slow = true, kill()), TIMEOUT_MS);
  const [stdout, stderr] = await Promise.all([
    collect(child.stdout, kill),
    collect(child.stderr, kill),
    child.status,
  ]);
  clearTimeout(timer);
  if (!slow) return { stdout, stderr };
  throw new PacacError(
    "spec-run",
    `Cannot evaluate the model description: it ran for ${TIMEOUT_MS / 1000} s without an end`,
    { place: { file: path }, remedy: "look for a loop that does not end" },
  );
}

async function collect(stream: ReadableStream<Uint8Array>, tooMuch: () => void): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const chunk of stream) {
    bytes += chunk.length;
    if (bytes > MAX_OUTPUT) tooMuch();
    else text += decoder.decode(chunk, { stream: true });
  }
  return text;
}

function parse(stdout: string): Outcome | undefined {
  const revive = (_key: string, value: unknown) =>
    typeof value === "object" && value !== null && "$number" in value
      ? Number(value.$number)
      : value;
  try {
    return JSON.parse(stdout, revive) as Outcome;
  } catch {
    return undefined;
  }
}

function died(path: string, stderr: string): PacacError {
  const last = stderr.trim().split("\n").find((line) => /error|fatal/i.test(line));
  return new PacacError(
    "spec-run",
    `Cannot evaluate the model description: the program ended before it gave a value${
      last === undefined ? "" : ` (${last.trim().slice(0, 200)})`
    }`,
    {
      place: { file: path },
      remedy: "a description computes plain data; it cannot exit, read files or use much memory",
    },
  );
}

function noDefault(path: string, names: readonly string[]): PacacError {
  const others = names.filter((name) => name !== "default");
  return new PacacError(
    "spec-value",
    `Cannot use the model description: it has no default export${
      others.length === 0 ? "" : `, only ${others.join(", ")}`
    }`,
    { place: { file: path, line: 1, column: 1 }, remedy: "write export default fineTune({ … })" },
  );
}

/** A builder's RangeError is about shapes; anything else is the spec's own fault at run time. */
function thrown(
  error: { readonly name: string; readonly message: string; readonly stack: string },
  { path, url }: { readonly path: string; readonly url: string },
): PacacError {
  const frames = framesOf(error.stack);
  const own = new URL("./", import.meta.url).href;
  const builder = frames[0]?.file.startsWith(own) === true;
  const frame = frames.find(({ file }) => file === url) ??
    frames.find(({ file }) => file.startsWith("file:") && !file.startsWith(own));
  const place: Place = frame === undefined
    ? { file: path }
    : { file: fileURLToPath(frame.file), line: frame.line, column: frame.column };
  const message = error.message.replaceAll(url, path).replace(/, run again with .*$/, "")
    .split("\n")[0];
  if (builder && error.name === "RangeError") {
    return new PacacError("spec-shape", `Cannot build the architecture: ${message}`, {
      place,
      remedy: /inside architecture/.test(message)
        ? "call it within architecture((tokens) => { … })"
        : "make the shapes agree at this line",
    });
  }
  const denied = error.name === "NotCapable" || error.name === "PermissionDenied";
  const remedy = denied
    ? "a description runs without permissions: compute its value from the text alone"
    : "mend the description at this line";
  return new PacacError(
    "spec-run",
    `Cannot evaluate the model description: ${error.name}: ${message}`,
    { place, remedy },
  );
}

function framesOf(stack: string): { file: string; line: number; column: number }[] {
  return [...stack.matchAll(/\(?((?:file|data|ext|node):[^\s)]*?):(\d+):(\d+)\)?$/gm)]
    .map(([, file, line, column]) => ({ file, line: Number(line), column: Number(column) }));
}
