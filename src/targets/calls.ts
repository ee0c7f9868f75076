/**
 * What kernels of every target ask of a call: its traffic, dimensions, operands, and how a generated header says them.
 * @module
 */
import { invariant } from "../errors.ts";
import { bytesOf, type Tensor } from "../graph/graph.ts";
import { opOf } from "../ops/mod.ts";
import type { EpilogueStep, KernelCall } from "./target.ts";

/**
 * Floating-point operations by the ops' cost, of all members; bytes of every operand once, of sums twice.
 * @param call The call
 */
export function traffic(call: KernelCall): { flops: number; bytes: number } {
  const flops = call.members.reduce(
    (sum, { node, dims }) => sum + opOf(node.op).cost(dims, { ...node.attributes }).flops,
    0,
  );
  const bytes = call.operands.reduce((total, { tensor, written }) => {
    const visits = written && tensor.role === "gradient" ? 2 : 1;
    return total + visits * bytesOf(tensor);
  }, 0);
  return { flops, bytes };
}

/**
 * The traffic as a header says it: "4.72 MFLOP over 9.44 MB".
 * @param call The call
 */
export function workOf(call: KernelCall): string {
  const { flops, bytes } = traffic(call);
  return costText(flops, bytes);
}

/**
 * A bound dimension of a call.
 * @param call The call
 * @param name The dimension in the op's signature
 */
export function dim(call: KernelCall, name: string): number {
  const extent = call.dims[name];
  invariant(extent !== undefined, `${call.node.op} has no dimension ${name}`);
  return extent;
}

/**
 * A number as a C++ float literal.
 * @param value A finite number
 */
export function floatLiteral(value: number): string {
  invariant(Number.isFinite(value), `${value} is no C++ literal`);
  const text = String(value);
  return /[.e]/.test(text) ? `${text}f` : `${text}.0f`;
}

/**
 * The tensor of an operand, or undefined where it is absent.
 * @param call The call
 * @param name The operand's name in the op's signature
 */
export function operandOf(call: KernelCall, name: string): Tensor | undefined {
  return call.operands.find((operand) => operand.name === name)?.tensor;
}

/**
 * Whether a step is fused behind a call.
 * @param call The call
 * @param step The step
 */
export function hasStep(call: KernelCall, step: EpilogueStep): boolean {
  return call.epilogue.some((fused) => fused.step === step);
}

/**
 * "1.36 GFLOP, 9.4 MB": what a generated header says of a call.
 * @param flops Floating-point operations
 * @param bytes Bytes moved
 */
export function costText(flops: number, bytes: number): string {
  return `${scaled(flops)}FLOP over ${scaled(bytes)}B`;
}

const PREFIXES = ["", "k", "M", "G", "T"];

function scaled(value: number): string {
  const power = value < 1000 ? 0 : Math.min(PREFIXES.length - 1, Math.floor(Math.log10(value) / 3));
  return `${Number((value / 1000 ** power).toPrecision(3))} ${PREFIXES[power]}`;
}

/**
 * The least multiple of `step` that is not below `value`.
 * @param value A count
 * @param step The step
 */
export function roundUp(value: number, step: number): number {
  return Math.ceil(value / step) * step;
}
