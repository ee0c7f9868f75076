/**
 * Matrix products alone, in turn in one run: pacac's generated kernels (packing and conversion from bf16 included), MKL and oneDNN
 * through PyTorch, OpenBLAS through NumPy, each as a share of the peak measured beside it: of multiply-adds, and with bf16 weights of
 * products of pairs where the processor has them, against oneDNN in bf16.
 *
 * `deno task peers:gemm [--python PYTHON] [--threads 1,2] [--tokens 2048] [--rounds 3] [--isa avx2] [--json]`. What is not installed
 * is named as absent. Shapes are those of SmolLM2-135M's linears.
 * @module
 */
// deno-lint-ignore-file no-console -- this is a command; its table goes to standard output
import { machineOf } from "../../src/build/machine.ts";
import { Graph } from "../../src/graph/graph.ts";
import { median } from "../../src/tune/statistics.ts";
import { ISAS } from "../../src/targets/cpu/isas.ts";
import { machineAtStorage } from "../../src/targets/roofline.ts";
import { openPlan, planFor } from "../support/cpu_engine.ts";
import { declareTrainerTensors } from "../support/op_cases.ts";
import { smallSpec } from "../support/small_model.ts";
import { inRepository } from "../support/paths.ts";
import { flagsOf, misused } from "./flags.ts";
import { HELD_NAMES, heldTo } from "./isa.ts";

const USAGE = `usage: deno task peers:gemm [flags]

Products of SmolLM2's shapes alone, as shares of the processor's peak, in turn with MKL, oneDNN and OpenBLAS.

  --python PYTHON   with torch and numpy (python3)
  --threads LIST    how many, with commas (1,2)
  --tokens N        rows of x (2048)
  --rounds N        turns, of which the median counts (3)
  --isa NAME        holds all libraries to an instruction set: ${HELD_NAMES} (native, all there is)
  --json            JSON in place of the table`;
const values = flagsOf(USAGE, {
  python: { type: "string", default: "python3" },
  threads: { type: "string", default: "1,2" },
  tokens: { type: "string", default: "2048" },
  rounds: { type: "string", default: "3" },
  isa: { type: "string", default: "native" },
  json: { type: "boolean", default: false },
});

/** [K, N] of y[T,N] = x[T,K] Wᵀ, and of dx[T,K] = dy[T,N] W. */
const LINEARS = [[576, 1536], [1536, 576], [576, 576], [576, 192]] as const;
/** Runs of one kernel in a round, of which the best counts. */
const REPEATS = 5;

const tokens = Number(values.tokens);
const rounds = Number(values.rounds);
const held = heldTo(values.isa);
if (held === undefined) {
  misused(
    USAGE,
    `--isa ${values.isa}: not an instruction set of this processor that all can be held to`,
  );
}
const { isa, environment } = held;

interface Case {
  readonly kind: "forward" | "backward";
  /** Extents of the product. */
  readonly m: number;
  readonly k: number;
  readonly n: number;
}

interface Row {
  readonly who: string;
  readonly shares: number[];
  absent?: string;
}

/** What a kernel of pacac reads and writes. */
interface Form {
  /** Of the weights. */
  readonly storage: "f32" | "bf16";
  /** Of x, dy and y; dx is float32. */
  readonly activations: "f32" | "bf16";
}

const FORMS: readonly Form[] = [
  { storage: "f32", activations: "f32" },
  { storage: "bf16", activations: "f32" },
  { storage: "bf16", activations: "bf16" },
];

function formText({ storage, activations }: Form): string {
  return `pacac, ${storage} weights${activations === "bf16" ? " and rows" : ""}`;
}

/** Runs one of pacac's kernels a few times; the best time in seconds. */
async function kernelOf(
  { kind, m, k, n }: Case,
  { storage, activations, threads }: Form & { readonly threads: number },
): Promise<() => Promise<number>> {
  const graph = new Graph("gemm");
  declareTrainerTensors(graph);
  const shape = kind === "forward" ? [n, k] : [k, n];
  const [from, to] = kind === "forward" ? ["x", "y"] : ["dy", "dx"];
  const weight = graph.tensor({ name: "weight", dtype: storage, shape, role: "input" });
  const a = graph.tensor({ name: "a", dtype: activations, shape: [m, k], role: "input" });
  const dtype = kind === "forward" ? activations : "f32";
  const c = graph.tensor({ name: "c", dtype, shape: [m, n], role: "output" });
  graph.node({
    op: kind === "forward" ? "linear" : "linear_backward_input",
    inputs: { [from]: a, weight },
    outputs: { [to]: c },
    attributes: {},
    phase: "forward",
    layer: -1,
  });
  const engine = await openPlan(planFor(graph, { spec: smallSpec(), vocabSize: 67, isa, threads }));
  const wave = (_: unknown, i: number) => Math.sin(i);
  engine.write("a", Float32Array.from({ length: m * k }, wave));
  engine.write("weight", Float32Array.from({ length: k * n }, wave));
  const batch = {
    inputIds: new Int32Array(3),
    labels: new Int32Array(3),
    segmentIds: new Int32Array(3),
  };
  return async () => {
    let best = Infinity;
    for (let i = 0; i <= REPEATS; i++) {
      const begin = performance.now();
      await engine.forward(batch);
      if (i > 0) best = Math.min(best, (performance.now() - begin) / 1e3);
    }
    return best;
  };
}

interface Rival {
  readonly who: string;
  /** Of the weights, default f32. */
  readonly storage?: "f32" | "bf16";
  readonly seconds?: number;
  readonly absent?: string;
}

/** MKL, oneDNN and OpenBLAS on the same product. */
async function rivalsOn({ kind, m, k, n }: Case, threads: number): Promise<Rival[]> {
  const args = [inRepository("tests/peers/gemm.py"), `${m}`, `${k}`, `${n}`, "--kind", kind];
  args.push("--threads", `${threads}`, "--rounds", `${REPEATS}`);
  // Without products of pairs, PyTorch's bf16 takes seconds for each.
  if (ISAS[isa].pairs > 0) args.push("--bf16");
  try {
    const command = new Deno.Command(values.python, { args, env: environment, stderr: "piped" });
    const { success, stdout, stderr } = await command.output();
    if (success) return JSON.parse(new TextDecoder().decode(stdout));
    const reason = new TextDecoder().decode(stderr).trim().split("\n").at(-1) ?? "";
    return [{ who: "MKL, oneDNN, OpenBLAS", absent: reason }];
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return [{ who: "MKL, oneDNN, OpenBLAS", absent: `${values.python} is not installed` }];
  }
}

/** Every rival's shares of the peak, one a round. */
async function compare(one: Case, threads: number): Promise<Row[]> {
  const kernels = [];
  for (const form of FORMS) {
    const run = await kernelOf(one, { ...form, threads });
    kernels.push({ who: formText(form), storage: form.storage, run });
  }
  const rows = new Map<string, Row>();
  const rowOf = (who: string) => {
    const row = rows.get(who) ?? { who, shares: [] };
    rows.set(who, row);
    return row;
  };
  const flops = 2 * one.m * one.k * one.n;
  for (let round = 0; round < rounds; round++) {
    const machine = await machineOf(ISAS[isa], { threads, fresh: true });
    const add = ({ who, storage = "f32", seconds, absent }: Rival) => {
      const { flopsPerSecond } = machineAtStorage(machine, storage);
      if (seconds !== undefined) rowOf(who).shares.push(flops / seconds / flopsPerSecond);
      else rowOf(who).absent = absent ?? "no reason given";
    };
    for (const { who, storage, run } of kernels) add({ who, storage, seconds: await run() });
    for (const rival of await rivalsOn(one, threads)) add(rival);
  }
  return [...rows.values()];
}

const cases: Case[] = LINEARS.flatMap(([k, n]): Case[] => [
  { kind: "forward", m: tokens, k, n },
  { kind: "backward", m: tokens, k: n, n: k },
]);
const results = [];
if (!values.json) {
  console.log(
    `Share of the ${isa} peak measured in the same run, of bf16 pairs where weights are bf16; median of ${rounds} rounds in turn\n`,
  );
}
for (const threads of values.threads.split(",").map(Number)) {
  for (const one of cases) {
    const rows = (await compare(one, threads)).map(({ who, shares, absent }) => ({
      who,
      share: shares.length > 0 ? median(shares) : undefined,
      absent,
    }));
    results.push({ ...one, threads, rows });
    if (values.json) continue;
    console.log(`${threads} threads, ${one.kind} ${one.m} x ${one.k} x ${one.n}`);
    for (const { who, share, absent } of rows) {
      const text = share === undefined ? `absent: ${absent}` : `${(100 * share).toFixed(1)} %`;
      console.log(`  ${who.padEnd(28)} ${text}`);
    }
  }
}
if (values.json) console.log(JSON.stringify(results, null, 2));
