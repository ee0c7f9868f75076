/**
 * select: chooses a kernel for every node, makes groups of nodes that one kernel serves together, and fuses what epilogues can take.
 *
 * Needs: the graph with final types, and the target's kernels as data. Gives: kernel calls in order, with tunables and workspace.
 * It stands behind every pass that changes nodes. What may be fused is data: fusions.ts says what a step reads and makes, a kernel
 * says which steps and groups it serves. What holds for all: one phase, no reader left of what is no longer stored, and every
 * other operand exists already when the call runs.
 * @module
 */
import { Bug, must } from "../errors.ts";
import type { Graph, Node, Tensor } from "../graph/graph.ts";
import { opOf } from "../ops/mod.ts";
import { dimsOf } from "../ops/op.ts";
import type { PlannedCall } from "../targets/plan.ts";
import type {
  CallOperand,
  EpilogueStep,
  FusedStep,
  Kernel,
  KernelCall,
  Target,
  Tunables,
} from "../targets/target.ts";
import { FUSIONS, isStep } from "./fusions.ts";

/** A step, and the names of the node's operands that the call makes. */
interface DraftStep extends FusedStep {
  readonly made: readonly string[];
}

/** A call in the making. */
interface Draft {
  readonly kernel: Kernel;
  members: Node[];
  steps: DraftStep[];
  /** What stands where each member's first output stood; where members are summed, the one sum. None: it is not stored. */
  results: (Tensor | undefined)[];
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
  const selection = new Selection(countReaders(graph));
  for (const node of graph.nodes) selection.take(node, kernelFor(node, target));
  return selection.drafts.map((draft) => {
    const { kernel, members: [node] } = draft;
    const call = callOf(draft);
    const values = options.choose?.(kernel, call) ?? kernel.defaults(call, target.isa);
    if (!kernel.legal(values, target.isa, call)) {
      throw new Bug(`values of ${kernel.name} are not legal: ${JSON.stringify(values)}`);
    }
    const workspace = kernel.workspace(call, values, target.isa);
    return { call, kernel, values, phase: node.phase, layer: node.layer, workspace };
  });
}

function kernelFor(node: Node, target: Target): Kernel {
  const kernel = target.kernels.find(({ serves }) =>
    serves.roots.includes(node.op) && serves.only?.(node) !== false
  );
  if (kernel === undefined) throw new Bug(`target ${target.name} has no kernel for ${node.op}`);
  return kernel;
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

/** The calls so far; each node becomes part of one of them or begins another. */
class Selection {
  drafts: Draft[] = [];
  readonly #readers: ReadonlyMap<Tensor, number>;

  constructor(readers: ReadonlyMap<Tensor, number>) {
    this.#readers = readers;
  }

  take(node: Node, kernel: Kernel): void {
    if (this.#sum(node) || this.#fuse(node) || this.#join(node, kernel)) return;
    this.drafts.push({ kernel, members: [node], steps: [], results: [firstOutput(node)] });
  }

  /** A node that reads what an earlier call of its kernel reads becomes a member of that call. */
  #join(node: Node, kernel: Kernel): boolean {
    if (kernel.serves.group !== "shared_input") return false;
    const draft = this.drafts.findLast((draft) =>
      draft.kernel === kernel && firstInput(draft.members[0]) === firstInput(node) &&
      runTogether(draft, node) && draft.steps.every(({ step }) => mayBeOneOfMany(step))
    );
    if (draft === undefined || !this.#exist(Object.values(node.inputs), draft)) return false;
    draft.members.push(node);
    draft.results.push(firstOutput(node));
    return true;
  }

  /** An add of what two calls make becomes one call, if their kernel sums over members. */
  #sum(add: Node): boolean {
    if (add.op !== "add") return false;
    const { a, b } = add.inputs;
    const [newest, before] = [a, b].map((made) => this.#maker(made));
    if (newest === undefined || before === undefined || newest === before) return false;
    const steps = [...newest.steps, ...before.steps];
    const fits = newest.kernel === before.kernel &&
      newest.kernel.serves.group === "summed_output" &&
      [newest, before].every((draft) => runTogether(draft, add)) &&
      [a, b].every((made) => this.#passing(made)) &&
      steps.length <= 1 && steps.every(({ step }) => step === "add");
    if (!fits) return false;
    // What both read exists when the later of the two runs.
    const order = [newest, before].toSorted((x, y) =>
      this.drafts.indexOf(x) - this.drafts.indexOf(y)
    );
    const [earlier, later] = order;
    later.members = [...newest.members, ...before.members];
    later.steps = steps;
    later.results = [add.outputs.y];
    this.drafts = this.drafts.filter((draft) => draft !== earlier);
    return true;
  }

  /** A node becomes a step behind the call that makes what it reads, by the rule of its op. */
  #fuse(node: Node): boolean {
    const { op } = node;
    if (!isStep(op)) return false;
    const rule = FUSIONS[op];
    return rule.made.some((names) => {
      const made = names.map((name) => node.inputs[name]);
      const draft = this.#maker(made[0]);
      if (draft === undefined || !this.#stepFits(node, { step: op, made, draft })) return false;
      const member = draft.results.indexOf(made[0]);
      draft.steps.push({ step: op, member, node, made: names });
      for (const tensor of made) {
        const result = rule.result === undefined ? undefined : node.outputs[rule.result];
        const kept = rule.shared === true && !this.#passing(tensor);
        if (!kept) draft.results[draft.results.indexOf(tensor)] = result;
      }
      return true;
    });
  }

  #stepFits(
    node: Node,
    { step, made, draft }: { step: EpilogueStep; made: readonly Tensor[]; draft: Draft },
  ): boolean {
    const rule = FUSIONS[step];
    const { epilogue, group, step: served } = draft.kernel.serves;
    const members = made.map((tensor) => draft.results.indexOf(tensor));
    const chain = [
      ...draft.steps.filter(({ member }) => members.includes(member)).map(({ step }) => step),
      step,
    ];
    const others = Object.values(node.inputs).filter((tensor) => !made.includes(tensor));
    const inputs = Object.values(node.inputs);
    return epilogue.some((allowed) => isSubsequence(chain, allowed)) &&
      served?.(node, draft.members) !== false && runTogether(draft, node) &&
      (made.length === 1 || `${members}` === `${draft.results.map((_, i) => i)}`) &&
      (rule.alone !== true || group !== "shared_input" || draft.members.length === 1) &&
      made.every((tensor) => rule.shared === true || this.#passing(tensor)) &&
      others.length === inputs.length - made.length && this.#exist(others, draft);
  }

  /** The call that stores a tensor as a first output. */
  #maker(tensor: Tensor): Draft | undefined {
    return this.drafts.findLast(({ results }) => results.includes(tensor));
  }

  /** Whether one node alone reads a tensor, within the step. */
  #passing(tensor: Tensor): boolean {
    return tensor.role === "activation" && this.#readers.get(tensor) === 1;
  }

  /** Whether tensors exist when a call runs: neither it nor a later one makes them. */
  #exist(tensors: readonly Tensor[], draft: Draft): boolean {
    return !this.drafts.slice(this.drafts.indexOf(draft)).some((later) =>
      outputsOf(later).some((tensor) => tensors.includes(tensor))
    );
  }
}

function firstInput(node: Node): Tensor {
  return node.inputs[must(opOf(node.op).inputs[0], "first input").name];
}

function firstOutput(node: Node): Tensor {
  const name = opOf(node.op).outputs.find((output) => node.outputs[output.name] !== undefined);
  return node.outputs[must(name, "first output").name];
}

function runTogether({ members: [first] }: Draft, node: Node): boolean {
  return first.phase === node.phase && first.layer === node.layer;
}

/** Whether a call with this step may get further members. */
function mayBeOneOfMany(step: EpilogueStep): boolean {
  const { alone, made } = FUSIONS[step];
  return alone !== true && made.every((names) => names.length === 1);
}

function isSubsequence(steps: readonly EpilogueStep[], of: readonly EpilogueStep[]): boolean {
  let at = 0;
  for (const step of of) if (step === steps[at]) at++;
  return at === steps.length;
}

/** Everything that a call writes. */
function outputsOf(draft: Draft): Tensor[] {
  return operandsOf(draft).filter(({ written }) => written).map(({ tensor }) => tensor);
}

function callOf(draft: Draft): KernelCall {
  const { members: nodes, steps } = draft;
  const epilogue = steps.map(({ step, member, node }) => ({ step, member, node }));
  const members = nodes.map((node) => ({ node, dims: dimsOf(opOf(node.op), node) }));
  const [{ node, dims }] = members;
  const { attributes } = node;
  return { node, dims, attributes, members, operands: operandsOf(draft), epilogue };
}

/** Inputs of the members, outputs, then what steps read and write; in a group with the member's number. */
function operandsOf({ kernel, members, steps, results }: Draft): CallOperand[] {
  const grouping = members.length === 1 ? undefined : kernel.serves.group;
  const numbered = (name: string, member: number) =>
    grouping === undefined ? name : `${name}.${member}`;
  const lists = members.map((node, member) => {
    const { inputs, outputs } = opOf(node.op);
    const read = inputs.flatMap(({ name }, i) => {
      const shared = i === 0 && grouping === "shared_input";
      if (node.inputs[name] === undefined || (shared && member > 0)) return [];
      const tensor = node.inputs[name];
      return [{ name: shared ? name : numbered(name, member), tensor, written: false }];
    });
    const first = firstOutput(node);
    const made = outputs.flatMap(({ name }) => {
      const summed = node.outputs[name] === first && grouping === "summed_output";
      const own = node.outputs[name] === first ? results[member] : node.outputs[name];
      if (own === undefined || (summed && member > 0)) return [];
      return [{ name: summed ? name : numbered(name, member), tensor: own, written: true }];
    });
    return { read, made };
  });
  const shown = grouping === "summed_output" ? (name: string) => name : numbered;
  return [
    ...lists.flatMap(({ read }) => read),
    ...lists.flatMap(({ made }) => made),
    ...steps.flatMap((step) => stepOperands(step, shown)),
  ];
}

/** What a step reads beside what was made before it, and what it writes that stands for nothing else. */
function stepOperands(
  { step, member, node, made }: DraftStep,
  numbered: (name: string, member: number) => string,
): CallOperand[] {
  const { result, names = {} } = FUSIONS[step];
  const { inputs, outputs } = opOf(node.op);
  const called = (name: string) =>
    made.length > 1 ? names[name] ?? name : numbered(names[name] ?? name, member);
  return [
    ...inputs.filter(({ name }) => node.inputs[name] !== undefined && !made.includes(name)).map((
      { name },
    ) => ({ name: called(name), tensor: node.inputs[name], written: false })),
    ...outputs.filter(({ name }) => node.outputs[name] !== undefined && name !== result).map((
      { name },
    ) => ({ name: called(name), tensor: node.outputs[name], written: true })),
  ];
}
