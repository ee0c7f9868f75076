/**
 * linear, adapted_linear of one token: W is read once, as fast as memory gives it; threads share its rows.
 *
 * Linears that read the same x are one call, for a call of one token is short against the threads' meeting at its end; gate and up
 * are paired row by row, so that swiglu of both is all that is stored.
 * @module
 */
import { opOf } from "../../../ops/mod.ts";
import { byRoofline } from "../../roofline.ts";
import type { Kernel, KernelCall } from "../../target.ts";
import { dim, traffic as trafficOfOne, workOf } from "../../calls.ts";

/** y[1,O] = x[1,K] Weᵀ + bias, of each member; + residual, or swiglu of two. */
export const matvec: Kernel = {
  name: "matvec",
  serves: {
    roots: ["linear", "adapted_linear"],
    epilogue: [["add"], ["swiglu"]],
    group: "shared_input",
    only: ({ inputs }) => inputs.x.shape[0] === 1,
  },
  tunables: {},
  defaults: () => ({}),
  legal: () => true,
  traffic,
  predict: byRoofline(traffic),
  // x as float32, and each member's chosen columns of it, from a cache line on.
  workspace: (call) => ({
    perThread: lines(dim(call, "K")) +
      call.members.reduce((sum, { dims }) => sum + lines(dims.R ?? 0), 0),
    shared: 0,
  }),
  context(call) {
    const gated = call.epilogue.some(({ step }) => step === "swiglu");
    const members = call.members.map((_, i) => memberOf(call, i));
    const rows = call.members.reduce((sum, { dims }) => sum + (dims.O ?? 0), 0);
    return { work: workOf(call), gated, members, rows };
  },
};

function lines(floats: number): number {
  return 64 * Math.ceil(4 * floats / 64);
}

/** All members' operations; every operand once. */
function traffic(call: KernelCall): { flops: number; bytes: number } {
  const flops = call.members.reduce(
    (sum, { node, dims }) => sum + opOf(node.op).cost(dims, { ...node.attributes }).flops,
    0,
  );
  return { flops, bytes: trafficOfOne(call).bytes };
}

/** A member as the template names its operands; "" for what it has not. */
function memberOf(call: KernelCall, index: number): Readonly<Record<string, string | number>> {
  const { dims } = call.members[index];
  const named = (name: string) => {
    const full = call.members.length === 1 ? name : `${name}.${index}`;
    return call.operands.some((operand) => operand.name === full) ? full.replace(".", "_") : "";
  };
  const names = ["weight", "bias", "delta", "index", "scale", "y", "residual"];
  return {
    ...Object.fromEntries(names.map((name) => [name, named(name)])),
    out: dims.O ?? 0,
    rank: dims.R ?? 0,
    rank_floats: lines(dims.R ?? 0) / 4,
  };
}
