/**
 * y = x Wᵀ (+ bias) (+ residual), also with PaCA's columns: the contraction gets R more of them, and x_p is written on the way.
 *
 * Linears that read the same x (q, k and v; gate and up) are one launch: its blocks are those of the first, then of the next, so that
 * narrow ones do not leave a GPU half idle.
 * @module
 */
import type { KernelCall, Member } from "../../target.ts";
import { dim, operandOf } from "../../calls.ts";
import { cudaProduct } from "../product.ts";
import { extendedWidth } from "../tiles.ts";

const isPaca = ({ node }: Member) => node.op === "paca_linear";

/** Of a member's names: none where it is alone. */
function suffixOf({ members }: KernelCall, at: number): string {
  return members.length === 1 ? "" : `_${at}`;
}

/** y, and of a PaCA linear x_p, of each member. */
export const linear = cudaProduct("linear", {
  roots: ["linear", "paca_linear"],
  epilogue: [["add"]],
  group: "shared_input",
  extents: (call) => ({
    m: dim(call, "T"),
    n: call.members.reduce((sum, { dims }) => sum + dims.O, 0),
  }),
  extra: ({ members }, { bm, bn }) =>
    Math.max(
      0,
      ...members.filter(isPaca).map(({ dims }) => 2 * (bm + bn) * extendedWidth(dims.R)),
    ),
  fixed: ({ members }) => members.filter(isPaca).reduce((sum, { dims }) => sum + 4 * dims.R, 0),
  launches({ members }, { bn }, own) {
    const tiles = members.reduce((sum, { dims }) => sum + Math.ceil(dims.O / Number(bn)), 0);
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
      rank: member.dims.R ?? 0,
      scale: member.node.attributes.scale ?? 1,
      bias: operandOf(call, call.members.length === 1 ? "bias" : `bias.${at}`) !== undefined,
    })),
    paca: call.members.some(isPaca),
    residual: call.epilogue.some(({ step }) => step === "add"),
  }),
});
