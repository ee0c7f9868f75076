/**
 * Attention over a cache: threads share tokens and heads, scores of neighbouring positions are lanes of one vector.
 * @module
 */
import type { Kernel } from "../../target.ts";
import { dim } from "../../calls.ts";
import { untuned } from "../untuned.ts";

/** y[t,h] = softmax(q keys · scale) values over the positions so far. */
export const attentionCached: Kernel = {
  ...untuned("attention_cached"),
  // A score of each position.
  workspace: (call) => ({ perThread: 64 * Math.ceil(4 * dim(call, "S") / 64), shared: 0 }),
};
