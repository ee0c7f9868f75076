/**
 * What the cuda kernels cannot do, said before a plan is made of it.
 * @module
 */
import { PacacError } from "../../errors.ts";
import type { Graph, Tensor } from "../../graph/graph.ts";

/** A 16-byte access moves this many bf16. */
const GROUP = 8;

/** PaCA's columns of x and of D lie in shared memory beside the stages of a product: the smallest tiles have room for so many. */
const MOST_COLUMNS = 704;

/** What of a description decides. */
export interface CudaSettings {
  readonly adapt: { readonly method: string; readonly rank?: number };
  readonly train: { readonly storage: string; readonly weights?: string | undefined };
}

/**
 * Refuses what the kernels cannot do.
 * @param graph The typed graph
 * @param spec The description
 * @throws {PacacError} spec-value
 */
export function requireCuda(graph: Graph, { adapt, train }: CudaSettings): void {
  if (train.storage !== "bf16") {
    throw refuse("train.storage", `weights are ${train.storage}`, 'set storage: "bf16"');
  }
  const { weights = train.storage } = train;
  if (weights !== "bf16") {
    throw refuse("train.weights", `weights are ${weights}`, "leave weights out");
  }
  if (adapt.method !== "paca") {
    throw refuse("adapt", `the method is ${adapt.method}`, "use paca");
  }
  if ((adapt.rank ?? 0) > MOST_COLUMNS) {
    throw refuse("adapt.rank", `the rank is ${adapt.rank}`, `ranks up to ${MOST_COLUMNS} fit`);
  }
  const odd = graph.tensors.find((tensor) => tensor.dtype === "bf16" && !inGroups(tensor));
  if (odd !== undefined) {
    throw refuse(
      "model",
      `rows of ${odd.name} have ${odd.shape.at(-1)} values`,
      `rows are moved ${GROUP} values at a time: use widths and ranks that are multiples of ${GROUP}`,
    );
  }
}

function inGroups({ shape }: Tensor): boolean {
  return shape.length < 2 || (shape.at(-1) ?? 0) % GROUP === 0;
}

function refuse(field: string, state: string, remedy: string): PacacError {
  return new PacacError("spec-value", `Cannot plan for cuda: ${state}`, {
    place: { field },
    remedy,
  });
}
