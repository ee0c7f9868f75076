/**
 * Attention backward: probabilities rebuilt tile by tile from lse; dk and dv of a row and head summed by one thread.
 * @module
 */
import { num } from "../../../ops/access.ts";
import { byRoofline } from "../../roofline.ts";
import type { Kernel } from "../../target.ts";
import { traffic } from "../untuned.ts";
import {
  ATTENTION_TUNABLES,
  attentionContext,
  attentionDefaults,
  attentionLegal,
  attentionValues,
  scratchBytes,
} from "./attention.ts";

/** dq, dk and dv. */
export const attentionBackward: Kernel = {
  name: "attention_backward",
  serves: { roots: ["attention_backward"], epilogue: [] },
  tunables: ATTENTION_TUNABLES,
  defaults: attentionDefaults,
  legal: attentionLegal,
  traffic,
  predict: byRoofline(traffic),
  workspace({ attributes }, values, isa) {
    const { queryTile, keyTile } = attentionValues(values);
    const headDim = num(attributes, "head_dim");
    const seqLen = num(attributes, "seq_len");
    const padded = Math.ceil(headDim / isa.lanes) * isa.lanes;
    const perThread = scratchBytes([
      queryTile * padded, // queries
      headDim * queryTile, // queries, transposed
      queryTile * padded, // dy
      headDim * queryTile, // dy, transposed
      queryTile * padded, // dq
      keyTile * padded, // keys
      keyTile * padded, // values
      keyTile * queryTile, // p
      keyTile * queryTile, // g
      queryTile, // lse
      queryTile, // delta
      seqLen * padded, // dk
      seqLen * padded, // dv
    ]);
    return { perThread, shared: 0 };
  },
  context: attentionContext,
};
