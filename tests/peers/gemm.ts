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
import { Conversation } from "./conversation.ts";
import { flagsOf } from "./flags.ts";
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
const { isa, environment } = heldTo(values.isa, USAGE);

interface Case {
  readonly kind: "forward" | "backward";
  /** Extents of the product. */
  readonly m: number;
  readonly k: number;
  readonly n: number;
}

/** A program's share of the peak on a product, or why there is none. */
interface Result {
  readonly who: string;
  readonly share: number | undefined;
  readonly absent: string | undefined;
}

interface Row {
  readonly who: string;
  readonly shares: number[];
  absent?: string;
}

/** Seconds of the best run, or the reason why there are none. */
interface Timing {
  readonly seconds?: number;
  readonly absent?: string;
}

/** Something to time. */
interface Runner {
  readonly who: string;
  readonly storage: "f32" | "bf16";
  readonly run: () => Promise<Timing>;
  /** Frees what it holds. */
  readonly end?: () => void;
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

/**
 * Runs one of pacac's kernels a few times in one step, as a program does whose threads are awake; the best time in seconds, from the
 * first thread's begin to the last one's end.
 */
async function kernelOf(
  { kind, m, k, n }: Case,
  { storage, activations, threads }: Form & { readonly threads: number },
): Promise<Runner> {
  const graph = new Graph("gemm");
  declareTrainerTensors(graph);
  const shape = kind === "forward" ? [n, k] : [k, n];
  const [from, to] = kind === "forward" ? ["x", "y"] : ["dy", "dx"];
  const weight = graph.tensor({ name: "weight", dtype: storage, shape, role: "input" });
  const a = graph.tensor({ name: "a", dtype: activations, shape: [m, k], role: "input" });
  const dtype = kind === "forward" ? activations : "f32";
  for (let i = 0; i <= REPEATS; i++) {
    const c = graph.tensor({ name: `c${i}`, dtype, shape: [m, n], role: "output" });
    graph.node({
      op: kind === "forward" ? "linear" : "linear_backward_input",
      inputs: { [from]: a, weight },
      outputs: { [to]: c },
      attributes: {},
      phase: "forward",
      layer: -1,
    });
  }
  const engine = await openPlan(planFor(graph, { spec: smallSpec(), vocabSize: 67, isa, threads }));
  const wave = (_: unknown, i: number) => Math.sin(i);
  engine.write("a", Float32Array.from({ length: m * k }, wave));
  engine.write("weight", Float32Array.from({ length: k * n }, wave));
  const batch = {
    inputIds: new Int32Array(3),
    labels: new Int32Array(3),
    segmentIds: new Int32Array(3),
  };
  await engine.forward(batch);
  const run = async () => {
    await engine.trace(REPEATS + 1);
    await engine.forward(batch);
    const { calls } = engine.traced();
    const times = calls.slice(1).map(({ spans }) =>
      Math.max(...spans.map(({ worked }) => worked)) - Math.min(...spans.map(({ begin }) => begin))
    );
    return { seconds: Math.min(...times) };
  };
  return { who: formText({ storage, activations }), storage, run, end: () => engine.dispose() };
}

/** A library beside, or the reason why it is not there. */
interface Rival {
  readonly who: string;
  /** Of the weights. */
  readonly storage?: "f32" | "bf16";
  readonly absent?: string;
}

/** What is installed beside, and the program that has it. */
interface Libraries {
  readonly rivals: readonly Rival[];
  readonly program?: Conversation;
}

async function startLibraries(threads: number): Promise<Libraries> {
  const args = [inRepository("tests/peers/gemm.py"), "--threads", `${threads}`];
  // Without products of pairs, PyTorch's bf16 takes seconds for each.
  if (ISAS[isa].pairs > 0) args.push("--bf16");
  const program = new Conversation(values.python, args, { environment });
  try {
    const { rivals } = await program.answer<{ rivals: readonly Rival[] }>();
    return { rivals, program };
  } catch (error) {
    const absent = error instanceof Error ? error.message : String(error);
    return { rivals: [{ who: "MKL, oneDNN, OpenBLAS", absent }] };
  }
}

function rivalsOn(one: Case, { rivals, program }: Libraries): Runner[] {
  return rivals.map(({ who, storage = "f32", absent }) => {
    const request = JSON.stringify({ ...one, who, runs: REPEATS });
    const run = async () =>
      absent === undefined ? await program?.answer<Timing>(request) ?? {} : { absent };
    return { who, storage, run };
  });
}

/** Every program's shares of the peak, one a round. */
async function compare(one: Case, threads: number, libraries: Libraries): Promise<Row[]> {
  const runners: Runner[] = [];
  for (const form of FORMS) runners.push(await kernelOf(one, { ...form, threads }));
  runners.push(...rivalsOn(one, libraries));
  const rows: Row[] = runners.map(({ who }) => ({ who, shares: [] }));
  const flops = 2 * one.m * one.k * one.n;
  const peak = async () => await machineOf(ISAS[isa], { threads, fresh: true });
  for (let round = 0; round < rounds; round++) {
    // A shared machine's peak moves within seconds: each is measured against those before and behind it.
    let before = await peak();
    for (const [i, { storage, run }] of runners.entries()) {
      const { seconds, absent } = await run();
      const behind = await peak();
      const [first, second] = [before, behind].map((machine) => machineAtStorage(machine, storage));
      const mean = (first.flopsPerSecond + second.flopsPerSecond) / 2;
      if (seconds !== undefined) rows[i].shares.push(flops / seconds / mean);
      else rows[i].absent = absent ?? "no reason given";
      before = behind;
    }
  }
  for (const { end } of runners) end?.();
  return rows;
}

const cases: Case[] = LINEARS.flatMap(([k, n]): Case[] => [
  { kind: "forward", m: tokens, k, n },
  { kind: "backward", m: tokens, k: n, n: k },
]);
const results: (Case & { readonly threads: number; readonly rows: readonly Result[] })[] = [];

/** Least, middle and most of each program's shares over all products. */
function summary(threads: number): string {
  const shares = new Map<string, number[]>();
  for (
    const { who, share } of results.filter((one) => one.threads === threads).flatMap(({ rows }) =>
      rows
    )
  ) {
    if (share !== undefined) shares.set(who, [...shares.get(who) ?? [], share]);
  }
  const lines = [...shares].map(([who, of]) => {
    const figures = [Math.min(...of), median(of), Math.max(...of)];
    return `  ${who.padEnd(28)} ${figures.map((share) => (100 * share).toFixed(0)).join(", ")} %`;
  });
  return [`${threads} threads, all products: least, middle, most`, ...lines].join("\n");
}

if (!values.json) {
  console.log(
    `Share of the ${isa} peak measured in the same run, of bf16 pairs where weights are bf16; median of ${rounds} rounds in turn\n`,
  );
}
for (const threads of values.threads.split(",").map(Number)) {
  const libraries = await startLibraries(threads);
  for (const one of cases) {
    const rows = (await compare(one, threads, libraries)).map(({ who, shares, absent }) => ({
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
  await libraries.program?.end();
  if (!values.json) console.log(summary(threads));
}
if (values.json) console.log(JSON.stringify(results, null, 2));
