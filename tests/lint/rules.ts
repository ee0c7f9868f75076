/**
 * Rules of the house as functions from files to complaints, so that each can be shown a planted fault.
 * @module
 */
import { arrowProblem } from "./layers.ts";

/** Texts by path from the repository's root. */
export type Files = ReadonlyMap<string, string>;

/** What is forbidden, what to do in place of it, and where it is not forbidden. */
interface Ban {
  readonly pattern: RegExp;
  readonly rule: string;
  readonly only?: RegExp;
  readonly except?: readonly string[];
}

// The patterns are in pieces where this file would break its own rule.
const BANS: readonly Ban[] = [
  {
    pattern: /\bconsole[.[]/,
    rule: "only src/cli prints: return text or tell a callback",
    only: /^src\/(?!cli\/)/,
    // The program of the child process that evaluates a description sends its prints to standard error.
    except: ["src/spec/evaluate.ts"],
  },
  {
    pattern: /\b(?:Deno|process)\.exit\(/,
    rule: "only src/cli ends the process: throw",
    only: /^src\/(?!cli\/)/,
  },
  {
    pattern: /(?:[:<,|&] ?|\bas )any(?=[\s,;)>[\]|&=]|$)/,
    rule: "no any: say the type, or unknown",
    only: /\.ts$/,
  },
  {
    pattern: /[\w)\]]!(?:[.;,)[\]]|$)/,
    rule: "no non-null assertion: use must()",
    only: /\.ts$/,
  },
  { pattern: new RegExp(`\\b(?:TO${""}DO|FIX${""}ME)\\b`), rule: "do it, or file an issue" },
  { pattern: /(?<![\w.~-])\/(?:home|root|work)\/\w/, rule: "no paths of one machine" },
];

/** Text without comments and one-line strings; lines stay where they are. */
function codeOf(text: string): string {
  return text
    .replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, " "))
    .replace(/"(?:[^"\\\n]|\\.)*"/g, '""')
    .replace(/(^|\s)\/\/.*$/gm, "$1");
}

/**
 * Banned calls, types, marks and paths.
 * @param files Sources
 */
export function banned(files: Files): string[] {
  const found: string[] = [];
  for (const [path, text] of files) {
    for (const { pattern, rule, only, except = [] } of BANS) {
      if (only?.test(path) === false || except.includes(path)) continue;
      const lines = (only === undefined ? text : codeOf(text)).split("\n");
      lines.forEach((line, i) => {
        if (pattern.test(line)) found.push(`${path}:${i + 1}: ${rule}`);
      });
    }
  }
  return found;
}

/**
 * Files over the limit. A file on the ratchet may be as long as it says and no longer.
 * @param files Sources
 * @param options Lines allowed, exceptions by path
 */
export function tooLong(
  files: Files,
  options: { readonly limit: number; readonly ratchet: Readonly<Record<string, number>> },
): string[] {
  return [...files].flatMap(([path, text]) => {
    const lines = text.split("\n").length - 1;
    const limit = options.ratchet[path] ?? options.limit;
    return lines > limit ? [`${path}: ${lines} lines, at most ${limit}`] : [];
  });
}

interface Found {
  readonly specifier: string;
  readonly typeOnly: boolean;
}

/** What a module imports or exports again, by import() too. */
function importsOf(text: string): Found[] {
  const found: Found[] = [];
  for (
    const [, type, specifier] of text.matchAll(/^(?:im|ex)port (type )?[^;"`]*?from "([^"]+)"/gm)
  ) {
    found.push({ specifier, typeOnly: type !== undefined });
  }
  for (const [, specifier] of text.matchAll(/\bimport\("([^"]+)"\)/g)) {
    found.push({ specifier, typeOnly: false });
  }
  return found;
}

/**
 * Imports against the arrows of layers.ts.
 * @param files Sources of src/
 */
export function wrongArrows(files: Files): string[] {
  return [...files].flatMap(([file, text]) =>
    importsOf(text).flatMap((one) => {
      const problem = arrowProblem({ file, ...one });
      return problem === undefined ? [] : [`${file}: ${problem}`];
    })
  );
}

/**
 * Modules that no root reaches.
 * @param files Sources of src/
 * @param roots What is run or imported from outside
 */
export function unreached(files: Files, roots: readonly string[]): string[] {
  const seen = new Set<string>();
  const visit = (path: string) => {
    const text = files.get(path);
    if (text === undefined || seen.has(path)) return;
    seen.add(path);
    for (const { specifier } of importsOf(text)) {
      if (specifier.startsWith(".")) visit(new URL(specifier, `file:///${path}`).pathname.slice(1));
    }
  };
  roots.forEach(visit);
  return [...files.keys()].filter((path) => path.endsWith(".ts") && !seen.has(path))
    .map((path) => `${path}: nothing imports it`);
}

/**
 * Exported functions, constants and classes that no other file names; a mod.ts that passes them on does not count.
 * @param files All TypeScript, tests included
 * @param faces Modules whose exports are for people outside
 */
export function unusedExports(files: Files, faces: readonly string[]): string[] {
  const named = [...files].map(([path, text]) => {
    const own = faces.includes(path)
      ? text
      : text.replace(/^export (?:type )?\{[^}]*\} from .*$/gm, "");
    return { path, words: new Set(own.match(/\w+/g)) };
  });
  const exported = /^export (?:async )?(?:function\*?|const|class) (\w+)/gm;
  return [...files].filter(([path]) => path.startsWith("src/")).flatMap(([path, text]) =>
    [...text.matchAll(exported)].map(([, name]) => name)
      .filter((name) => !named.some((other) => other.path !== path && other.words.has(name)))
      .map((name) => `${path}: nothing else names ${name}: do not export it, or delete it`)
  );
}

/** A folder whose files a list names. */
export interface Listed {
  /** `src/ops/` */
  readonly folder: string;
  /** `src/ops/mod.ts` */
  readonly list: string;
  /** Files of the folder that are something else, by stem. */
  readonly except?: readonly string[];
  /** Which files count; all that are not excepted where it is not said. */
  readonly when?: RegExp;
}

/** Stems of a folder's own .ts files. */
function stemsIn(files: Files, folder: string): string[] {
  return [...files.keys()].filter((path) => path.startsWith(folder) && path.endsWith(".ts"))
    .map((path) => path.slice(folder.length, -".ts".length)).filter((stem) => !stem.includes("/"));
}

/**
 * Files of a folder that the folder's list does not import.
 * @param files Sources
 * @param given Folder and list
 */
export function unlisted(files: Files, given: Listed): string[] {
  const { folder, list, except = [], when } = given;
  const imports = importsOf(files.get(list) ?? "").map(({ specifier }) =>
    new URL(specifier, `file:///${list}`).pathname.slice(1)
  );
  return stemsIn(files, folder).filter((stem) => {
    const path = `${folder}${stem}.ts`;
    if (path === list || except.includes(stem)) return false;
    return when?.test(files.get(path) ?? "") !== false && !imports.includes(path);
  }).map((stem) => `${folder}${stem}.ts is not in ${list}`);
}

/**
 * Kernels without a template of their stem, and templates without a kernel or another user.
 * @param files Sources and templates
 * @param target A target's folder name
 */
export function unpaired(files: Files, target: string): string[] {
  const kernels = stemsIn(files, `src/targets/${target}/kernels/`);
  const folder = `templates/${target}/`;
  const templates = [...files.keys()].filter((path) => path.startsWith(folder))
    .map((path) => path.slice(folder.length).split(".")[0]);
  const alone = kernels.filter((stem) => !templates.includes(stem))
    .map((stem) => `src/targets/${target}/kernels/${stem}.ts has no template`);
  // program and schedule are one each, rendered by src/emit/schedule.ts.
  const emit = files.get("src/emit/schedule.ts") ?? "";
  const stray = templates.filter((stem) => !kernels.includes(stem) && !emit.includes(`"${stem}"`))
    .map((stem) => `${folder}${stem}.* has no kernel`);
  return [...alone, ...stray];
}

/**
 * Native files that no template, no other native file and no source names.
 * @param files Sources, templates, native code
 */
export function unusedNative(files: Files): string[] {
  return [...files.keys()].filter((path) => path.startsWith("native/")).filter((path) => {
    const name = path.slice("native/".length);
    return ![...files].some(([other, text]) =>
      other !== path && /^(?:src|native|templates)\//.test(other) && text.includes(`${name}"`) ||
      other.startsWith("src/") && text.includes(`/${name}\``)
    );
  }).map((path) => `${path}: nothing includes or compiles it`);
}

/**
 * Error codes that no source throws.
 * @param files Sources
 * @param codes The codes
 */
export function unusedCodes(files: Files, codes: readonly string[]): string[] {
  const texts = [...files].filter(([path]) => path.startsWith("src/") && path !== "src/errors.ts")
    .map(([, text]) => text);
  return codes.filter((code) => !texts.some((text) => text.includes(`"${code}"`)))
    .map((code) => `error code ${code} is thrown nowhere`);
}

/**
 * A commit that says [same] changes no golden text.
 * @param message The commit's message
 * @param changed Golden files that it changes
 */
export function notSame(message: string, changed: readonly string[]): string[] {
  if (!message.includes("[same]")) return [];
  return changed.map((path) => `${path} changed in a commit that says [same]`);
}

/**
 * Paths in backticks of a page that are not there. Names in capitals stand for any name.
 * @param page The page's text
 * @param exists Whether a path from the repository's root is there
 */
export function deadPaths(page: string, exists: (path: string) => boolean): string[] {
  return [...page.matchAll(/`([\w./]+\/[\w./]*|\w+\.(?:ts|json))`/g)].map(([, path]) => path)
    .filter((path) => !/[A-Z]{3}/.test(path) && !exists(path) && !exists(`src/${path}`))
    .map((path) => `${path} is named and not there`);
}
