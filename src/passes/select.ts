/**
 * select: chooses a kernel for every node and fuses what its epilogue can take.
 *
 * Needs: the graph with final types, and the target's kernels as data. Gives: kernel calls in order, with tunables and workspace.
 * It stands behind every pass that changes nodes. Fused here: `add` behind the node that makes one of its operands, where
 * nothing else reads that operand and the other exists already: residual connections, and sums of gradients.
 */
import { Bug } from "../errors.ts";
import type { Graph, Node, Tensor } from "../graph/graph.ts";
import { opOf } from "../ops/mod.ts";
import { dimsOf } from "../ops/op.ts";
import type { PlannedCall } from "../targets/plan.ts";
import type {
  CallOperand,
  EpilogueStep,
  Kernel,
  KernelCall,
  Target,
  Tunables,
} from "../targets/target.ts";

interface Draft {
  readonly node: Node;
  readonly kernel: Kernel;
  operands: CallOperand[];
  epilogue: EpilogueStep[];
}

/** Gives tuned values for a call, or undefined where there are none that the kernel still allows. */
export type Chooser = (kernel: Kernel, call: KernelCall) => Tunables | undefined;

/**
 * Kernel calls for a graph.
 * @param graph The typed graph
 * @param target Kernels and instruction set
 * @param options `choose`: tuned values; a kernel's defaults stand where it gives none
 */
export function select(
  graph: Graph,
  target: Target,
  options: { readonly choose?: Chooser } = {},
): PlannedCall[] {
  const drafts: Draft[] = [];
  const readers = countReaders(graph);
  for (const node of graph.nodes) {
    if (node.op === "add" && fuseAdd(node, drafts, readers)) continue;
    drafts.push({
      node,
      kernel: kernelFor(node, target),
      operands: operandsOf(node),
      epilogue: [],
    });
  }
  return drafts.map(({ node, kernel, operands, epilogue }) => {
    const op = opOf(node.op);
    const { attributes } = node;
    const call: KernelCall = { node, dims: dimsOf(op, node), attributes, operands, epilogue };
    const values = options.choose?.(kernel, call) ?? kernel.defaults(call, target.isa);
    if (!kernel.legal(values, target.isa, call)) {
      throw new Bug(`values of ${kernel.name} are not legal: ${JSON.stringify(values)}`);
    }
    const workspace = kernel.workspace(call, values, target.isa);
    return { call, kernel, values, phase: node.phase, layer: node.layer, workspace };
  });
}

function kernelFor(node: Node, target: Target): Kernel {
  const kernel = target.kernels.find(({ serves }) => serves.roots.includes(node.op));
  if (kernel === undefined) throw new Bug(`target ${target.name} has no kernel for ${node.op}`);
  return kernel;
}

function operandsOf(node: Node): CallOperand[] {
  const op = opOf(node.op);
  const list = (names: readonly { name: string }[], from: Readonly<Record<string, Tensor>>) =>
    names.flatMap(({ name }) => from[name] === undefined ? [] : [{ name, tensor: from[name] }]);
  return [
    ...list(op.inputs, node.inputs).map((operand) => ({ ...operand, written: false })),
    ...list(op.outputs, node.outputs).map((operand) => ({ ...operand, written: true })),
  ];
}

function countReaders(graph: Graph): Map<Tensor, number> {
  const readers = new Map<Tensor, number>();
  for (const node of graph.nodes) {
    for (const tensor of Object.values(node.inputs)) {
      readers.set(tensor, (readers.get(tensor) ?? 0) + 1);
    }
  }
  return readers;
}

/** Tries both operands of an add; the draft that makes one of them takes the add over. */
function fuseAdd(
  add: Node,
  drafts: readonly Draft[],
  readers: ReadonlyMap<Tensor, number>,
): boolean {
  const { a, b } = add.inputs;
  for (const [made, other] of [[a, b], [b, a]]) {
    const index = drafts.findLastIndex((draft) => firstOutput(draft)?.tensor === made);
    if (index < 0) continue;
    const draft = drafts[index];
    const fits = draft.kernel.serves.epilogue.includes("add") && draft.epilogue.length === 0 &&
      draft.node.phase === add.phase && readers.get(made) === 1 && made !== other &&
      made.role === "activation";
    const otherIsLater = drafts.slice(index).some(({ operands }) =>
      operands.some(({ tensor, written }) => written && tensor === other)
    );
    if (!fits || otherIsLater) continue;
    draft.operands = [
      ...draft.operands.map((operand) =>
        operand.tensor === made && operand.written ? { ...operand, tensor: add.outputs.y } : operand
      ),
      { name: "residual", tensor: other, written: false },
    ];
    draft.epilogue = ["add"];
    return true;
  }
  return false;
}

function firstOutput(draft: Draft): CallOperand | undefined {
  return draft.operands.find(({ written }) => written);
}
