/**
 * dx = dy W (+ residual); of a PaCA linear a first launch makes p = scale dy D, which is added in PaCA's columns.
 *
 * Where dx is the gradient of a gated unit alone, it never leaves the block: those of gate and up do, which are made of it.
 *
 * Gradients that are only added up (those of q, k and v; of gate and up) are one call: a block's sums go on from one member to the
 * next, and dx is written once.
 * @module
 */
import { dim, hasStep } from "../../calls.ts";
import type { KernelCall, Member } from "../../target.ts";
import { cudaProduct, overTiles } from "../product.ts";
import { defaultTiles } from "../tiles.ts";

/** The first launch's tiles: a multiple of 16 columns is enough for most ranks. */
const COLUMNS = { bm: 64, bn: 32, bk: 64, stages: 3, warpsM: 4, warpsN: 1 } as const;

/** In the place of 128 x 128. */
const GROUPED = { bn: 64, warpsM: 4, warpsN: 2 } as const;

const isPaca = ({ node }: Member) => node.op === "paca_linear_backward_input";

/** PaCA's columns of all members, which lie one behind the other in the workspace. */
function columnsOf({ members }: KernelCall): number {
  return members.reduce((sum, { dims }) => sum + (dims.R ?? 0), 0);
}

/** Of a member's names: none where it is alone. */
function suffixOf({ members }: KernelCall, at: number): string {
  return members.length === 1 ? "" : `_${at}`;
}

/** dx. */
export const linearBackwardInput = cudaProduct("linear_backward_input", {
  roots: ["linear_backward_input", "paca_linear_backward_input"],
  epilogue: [["add"], ["swiglu_backward"]],
  group: "summed_output",
  extents: (call) => ({ m: dim(call, "T"), n: dim(call, "K") }),
  // Of a group of 128 x 128 tiles ptxas would spill four registers on sm_90.
  defaults(call) {
    const values = defaultTiles({ m: dim(call, "T"), n: dim(call, "K") });
    return call.members.length > 1 && values.bn === 128 ? { ...values, ...GROUPED } : {};
  },
  fixed: ({ members }, { bn }) => 2 * bn * members.filter(isPaca).length,
  workspace: (call) => 4 * dim(call, "T") * columnsOf(call),
  launches(call, _values, own) {
    const columns = call.members.flatMap((member, at) =>
      !isPaca(member) ? [] : [{
        ...overTiles({ m: dim(call, "T"), n: member.dims.R }, COLUMNS),
        entry: `_columns${suffixOf(call, at)}`,
      }]
    );
    return [...columns, own];
  },
  context: (call) => ({
    members: call.members.map((member, at) => ({
      suffix: suffixOf(call, at),
      first: at === 0,
      paca: isPaca(member),
      out: member.dims.O,
      rank: member.dims.R ?? 0,
      scale: member.node.attributes.scale ?? 1,
      place: columnsOf({ ...call, members: call.members.slice(0, at) }),
    })),
    paca: call.members.some(isPaca),
    residual: hasStep(call, "add"),
    gated: hasStep(call, "swiglu_backward"),
  }),
});
