/**
 * documents: from segment ids and labels, where each token's document starts, its position, and what it predicts.
 * @module
 */
import { z } from "zod";
import { i32, num } from "./access.ts";
import { type Op, op } from "./op.ts";

/** Label of a token that is not predicted. */
export const IGNORED = -100;

/** A document is a maximal run of one segment id >= 0 within a row; a padding token is one by itself. */
export const documents: Op = op(
  "documents",
  "segment_ids[T], labels[T] -> start[T], position[T], target[T]",
  {
    attributes: z.strictObject({ seq_len: z.int().min(1) }),
    types: { start: "i32", position: "i32", target: "i32" },
    cost: () => ({ flops: 0 }),
    reference(inputs, outputs, attributes, { T }) {
      const segment = i32(inputs, "segment_ids");
      const labels = i32(inputs, "labels");
      const start = i32(outputs, "start");
      const position = i32(outputs, "position");
      const target = i32(outputs, "target");
      const seqLen = num(attributes, "seq_len");
      for (let i = 0; i < T; i++) {
        const continues = i % seqLen !== 0 && segment[i] >= 0 && segment[i] === segment[i - 1];
        start[i] = continues ? start[i - 1] : i;
        position[i] = i - start[i];
      }
      for (let i = 0; i < T; i++) {
        const next = i + 1 < T && start[i + 1] === start[i];
        target[i] = next ? labels[i + 1] : IGNORED;
      }
    },
  },
);
