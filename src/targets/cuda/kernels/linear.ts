/**
 * y = x Wᵀ (+ bias) (+ residual), also with PaCA's columns: the contraction gets R more of them, and x_p is written on the way.
 *
 * Linears that read the same x (q, k and v; gate and up) are one launch: its blocks are those of the first, then of the next, so that
 * narrow ones do not leave a GPU half idle. What reads their results alone is done before they leave a block: heads of q and k are
 * rotated; of gate and up a block makes the same columns, so that it has both for the gated unit.
 * @module
 */
import type { Node } from "../../../graph/graph.ts";
import { num } from "../../../ops/access.ts";
import type { KernelCall, Member } from "../../target.ts";
import { dim, hasStep, operandOf } from "../../calls.ts";
import { cudaProduct } from "../product.ts";
import { extendedWidth } from "../tiles.ts";

/** Heads that a tile can hold whole, and whose halves are groups of 8. */
const HEADS: readonly number[] = [16, 32, 64, 128];
/** With more columns picked out of x the tiles that steps need do not fit: those of gate and up together, those of one of q, k, v. */
const MOST_COLUMNS = 128;

const isPaca = ({ node }: Member) => node.op === "paca_linear";

/** Of a member's names: none where it is alone. */
function suffixOf({ members }: KernelCall, at: number): string {
  return members.length === 1 ? "" : `_${at}`;
}

/** Width of the heads that a member's result is rotated in; 0: it is not. */
function headOf({ epilogue }: KernelCall, at: number): number {
  const rope = epilogue.find(({ step, member }) => step === "rope" && member === at);
  return rope === undefined ? 0 : num(rope.node.attributes, "head_dim");
}

/** Columns of x that a block picks out: its member's, or of a gated pair both members'. */
function columnsOf(call: KernelCall): number {
  const ranks = call.members.map((member) => isPaca(member) ? member.dims.R : 0);
  return hasStep(call, "swiglu") ? ranks.reduce((sum, rank) => sum + rank, 0) : Math.max(...ranks);
}

/** Whether a node may be a step behind these linears. */
function served({ op, attributes }: Node, members: readonly Node[]): boolean {
  const ranks = members.map(({ inputs }) => inputs.index?.shape[0] ?? 0);
  if (op === "swiglu") return ranks.reduce((sum, rank) => sum + rank, 0) <= MOST_COLUMNS;
  return op !== "rope" || Math.max(...ranks) <= MOST_COLUMNS && attributes.inverse !== true &&
      HEADS.includes(num(attributes, "head_dim"));
}

/** y, and of a PaCA linear x_p, of each member. */
export const linear = cudaProduct("linear", {
  roots: ["linear", "paca_linear"],
  epilogue: [["add"], ["rope"], ["swiglu"]],
  step: served,
  group: "shared_input",
  extents: (call) => ({
    m: dim(call, "T"),
    n: call.members.reduce((sum, { dims }) => sum + dims.O, 0),
  }),
  extra(call, { bm, bn }) {
    const columns = columnsOf(call);
    return columns === 0 ? 0 : 2 * (bm + bn) * extendedWidth(columns);
  },
  fixed: (call) => 4 * columnsOf(call),
  whole: (call, { bn }) => call.members.every((_, at) => bn % Math.max(1, headOf(call, at)) === 0),
  launches(call, { bn }, own) {
    const outs = call.members.map(({ dims }) => dims.O);
    const tiles = hasStep(call, "swiglu")
      ? Math.ceil(outs[0] / (Number(bn) / 2))
      : outs.reduce((sum, out) => sum + Math.ceil(out / Number(bn)), 0);
    return [{ ...own, grid: [tiles, own.grid[1], 1] }];
  },
  context: (call) => ({
    members: call.members.map((member, at) => ({
      suffix: suffixOf(call, at),
      before: suffixOf(call, at - 1),
      first: at === 0,
      last: at === call.members.length - 1,
      paca: isPaca(member),
      out: member.dims.O,
      rank: isPaca(member) ? member.dims.R : 0,
      scale: member.node.attributes.scale ?? 1,
      bias: operandOf(call, call.members.length === 1 ? "bias" : `bias.${at}`) !== undefined,
      head: headOf(call, at),
      stored: operandOf(call, `y.${at}`) !== undefined,
    })),
    paca: call.members.some(isPaca),
    columns: columnsOf(call),
    rope: hasStep(call, "rope"),
    residual: hasStep(call, "add"),
    gated: hasStep(call, "swiglu"),
  }),
});
