/**
 * The rows of a program's tensor table: which tensors it has at run time, and where each lies.
 * @module
 */
import { invariant, must } from "../errors.ts";
import { elements, type Tensor } from "../graph/graph.ts";
import type { ProgramInfo } from "../train/engine.ts";
import type { Plan } from "../targets/plan.ts";

/** One row. */
export interface TensorRow {
  readonly tensor: Tensor;
  /** Row number, by which schedules name the tensor. */
  readonly index: number;
  /** Byte offset in the arena; of a weight: its slot. */
  readonly place: number;
  /** Integers must be below it; 0: any. */
  readonly limit: number;
}

/** Rows, and the row of each tensor id. */
export interface TensorTable {
  readonly rows: readonly TensorRow[];
  readonly weights: number;
  /** Row number of a tensor of the plan. */
  row(tensor: Tensor): number;
  /** Row number of a name, -1 where there is none. */
  find(name: string): number;
}

/**
 * The tensor table of a plan: all placed tensors, and the weights that are read.
 * @param plan The plan
 */
export function tensorTable(plan: Plan): TensorTable {
  const named = new Set(plan.info.tensors.map(({ name }) => name));
  const used = new Set(plan.calls.flatMap(({ call }) => call.operands.map(({ tensor }) => tensor)));
  const rows: TensorRow[] = [];
  let weights = 0;
  for (const tensor of plan.graph.tensors) {
    const offset = plan.offsets.get(tensor.id);
    if (tensor.role === "weight") {
      if (!used.has(tensor) && !named.has(tensor.name)) continue;
      invariant(tensor.view === undefined, `weight ${tensor.name} is a view`);
    } else if (offset === undefined) {
      invariant(!used.has(tensor), `tensor ${tensor.name} is used and has no place`);
      continue;
    }
    const place = offset ?? weights++;
    rows.push({ tensor, index: rows.length, place, limit: limitOf(tensor, plan.info) });
  }
  return index(rows, weights);
}

function index(rows: readonly TensorRow[], weights: number): TensorTable {
  const byId = new Map(rows.map((row) => [row.tensor.id, row.index]));
  const byName = new Map(rows.map((row) => [row.tensor.name, row.index]));
  return {
    rows,
    weights,
    row: (tensor) => must(byId.get(tensor.id), `row of ${tensor.name}`),
    find: (name) => byName.get(name) ?? -1,
  };
}

/** What a caller's integers index: tokens the vocabulary, columns the inputs of a linear, rows the batch. */
function limitOf(tensor: Tensor, info: ProgramInfo): number {
  if (tensor.name === "input_ids" || tensor.name === "labels") return info.vocabSize;
  if (tensor.name === "rows") return info.batch * info.seqLen;
  if (tensor.role === "input" && tensor.dtype === "i32") return limitOfDecodeInput(tensor, info);
  if (tensor.role !== "index") return 0;
  return info.adapted.find(({ indices }) => indices === tensor.name)?.inFeatures ?? 0;
}

/** Of the inputs of text: ids the vocabulary, positions the caches; a count goes up to the tokens that there are. */
function limitOfDecodeInput({ name }: Tensor, info: ProgramInfo): number {
  if (/^(?:prefill|decode)_ids$/.test(name)) return info.vocabSize;
  if (/^(?:prefill|decode)_position$/.test(name)) return info.seqLen;
  if (name !== "prefill_count") return 0;
  const ids = info.tensors.find((tensor) => tensor.name === "prefill_ids");
  return must(ids, "prefill_ids").shape[0] + 1;
}

/**
 * Checks that a plan's ranges lie in its arena, so that no generated program can leave it.
 * @param plan The plan
 */
export function checkRanges(plan: Plan): void {
  const { scratch, arenaBytes, threads } = plan;
  for (const tensor of plan.graph.tensors) {
    const offset = plan.offsets.get(tensor.id);
    if (offset === undefined) continue;
    const end = offset + elements(tensor.shape) * (tensor.dtype === "bf16" ? 2 : 4);
    invariant(offset >= 0 && end <= arenaBytes, `tensor ${tensor.name} leaves the arena`);
    invariant(offset % 4 === 0 || tensor.view !== undefined, `tensor ${tensor.name} is unaligned`);
  }
  const size = threads * scratch.perThread + scratch.shared;
  if (size === 0) return;
  invariant(scratch.offset + size <= arenaBytes, "scratch leaves the arena");
  invariant(scratch.offset % 64 === 0 && scratch.perThread % 64 === 0, "scratch is unaligned");
  for (const { workspace } of plan.calls) {
    const fits = workspace.perThread <= scratch.perThread && workspace.shared <= scratch.shared;
    invariant(fits, "a call needs more scratch than is planned");
  }
}
