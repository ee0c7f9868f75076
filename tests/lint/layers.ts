/**
 * Which part of src/ may import which: the table of arrows, and the lint plugin that holds it in the editor and in `deno lint`.
 * tests/tidy_test.ts holds the same table over the whole tree.
 * @module
 */

/**
 * Arrows by layer. `types:X` allows `import type` alone: the contract is shared, the code is not. The graph knows nobody, so
 * that passes and targets can meet in it; train knows no compiler, so that a trainer runs without one.
 */
export const ARROWS: Readonly<Record<string, readonly string[]>> = {
  errors: [],
  knobs: [],
  formats: ["errors"],
  // A leaf: PTX and buffers in, a report out.
  emulator: ["errors"],
  train: ["formats", "errors"],
  // Pages about runs, from what a run's folder holds.
  report: ["formats", "errors", "types:train"],
  spec: ["errors", "knobs"],
  graph: ["spec", "errors"],
  ops: ["graph", "errors"],
  methods: ["ops", "graph", "spec", "errors"],
  targets: ["ops", "graph", "errors", "types:train"],
  "targets/cpu": ["targets", "ops", "graph", "errors"],
  "targets/cuda": ["targets", "ops", "graph", "errors"],
  "targets/reference": ["targets", "ops", "graph", "errors", "types:train"],
  passes: ["methods", "ops", "targets", "graph", "spec", "formats", "errors"],
  emit: ["methods", "ops", "targets", "graph", "spec", "errors", "types:train"],
  build: ["targets", "knobs", "errors", "train"],
  tune: ["emit", "build", "targets", "formats", "graph", "knobs", "errors"],
  compile: [
    "tune",
    "passes",
    "emit",
    "build",
    "targets",
    "targets/cpu",
    "targets/cuda",
    "targets/reference",
    "graph",
    "spec",
    "errors",
  ],
  compile_multi: ["compile", "emit", "build", "targets/cpu", "spec", "errors"],
  cli: [
    "compile",
    "compile_multi",
    "tune",
    "build",
    "emulator",
    "spec",
    "formats",
    "train",
    "report",
    "knobs",
    "errors",
  ],
  mod: ["spec"],
};

/** An import, as {@linkcode arrowProblem} judges it. */
export interface Import {
  /** The importing file, ending in src/…. */
  readonly file: string;
  /** What it names, as `../graph/graph.ts`. */
  readonly specifier: string;
  /** Whether types alone are imported. */
  readonly typeOnly: boolean;
}

/** The layer of a path below src/: its folder, or its own stem at the top; a target is a layer of its own. */
function layerOf(path: string): string {
  const [top, next, ...rest] = path.replace(/\.ts$/, "").split("/");
  return top === "targets" && rest.length > 0 ? `targets/${next}` : top;
}

/**
 * Says what is wrong with an import; undefined where it follows an arrow.
 * @param given The import
 */
export function arrowProblem({ file, specifier, typeOnly }: Import): string | undefined {
  const below = file.match(/(?:^|\/)src\/(?!.*\/src\/)(.+)$/)?.[1];
  if (below === undefined || !specifier.startsWith(".")) return undefined;
  const to = new URL(specifier, `file:///src/${below}`).pathname;
  const from = layerOf(below);
  if (!to.startsWith("/src/")) return `${from} may not import ${specifier}, which is outside src/`;
  const layer = layerOf(to.slice("/src/".length));
  const allowed = ARROWS[from];
  if (allowed === undefined) return `${from} has no line in the table of tests/lint/layers.ts`;
  if (from === layer || allowed.includes(layer)) return undefined;
  if (allowed.includes(`types:${layer}`)) {
    return typeOnly ? undefined : `${from} may import types of ${layer} only`;
  }
  return `${from} may not import ${layer}`;
}

const plugin: Deno.lint.Plugin = {
  name: "layers",
  rules: {
    "one-way": {
      create(context) {
        const check = (node: Deno.lint.Node, specifier: unknown, kind: unknown) => {
          if (typeof specifier !== "string") return;
          const message = arrowProblem({
            file: context.filename.replaceAll("\\", "/"),
            specifier,
            typeOnly: kind === "type",
          });
          if (message !== undefined) context.report({ node, message });
        };
        return {
          ImportDeclaration: (node) => check(node, node.source.value, node.importKind),
          ExportAllDeclaration: (node) => check(node, node.source.value, node.exportKind),
          ExportNamedDeclaration: (node) => check(node, node.source?.value, node.exportKind),
          ImportExpression: (node) =>
            check(node, node.source.type === "Literal" ? node.source.value : undefined, "value"),
        };
      },
    },
  },
};
export default plugin;
