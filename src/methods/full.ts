/**
 * full: every weight of the model is trained, embeddings and norms included.
 * @module
 */
import type { AdaptSpec } from "../spec/description.ts";
import type { Method } from "./method.ts";

/** Full fine-tuning. */
export const full: Method<Extract<AdaptSpec, { method: "full" }>> = {
  name: "full",
  trained: (graph) =>
    graph.tensors.filter((tensor) => tensor.role === "weight")
      .map(({ name, shape }) => ({ name, shape })),
  rewrite: () => {},
  rewriteDecode: () => {},
};
