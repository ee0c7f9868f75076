/**
 * Reads a graph's text (src/graph/print.ts): parse(print(g)) = g.
 * @module
 */
import { PacacError } from "../errors.ts";
import { type DType, Graph, type Phase, type Role, type Tensor } from "./graph.ts";

const ROLES = "weight|parameter|gradient|moment|index|constant|input|output|activation|cache";
const TENSOR = new RegExp(
  `^(${ROLES}) (\\S+) (f32|bf16|i32)\\[([\\d,]*)\\](?: = (\\S+)\\+(\\d+))?(?: from (\\{.*\\}))?$`,
);
const NODE =
  /^(forward|logits|backward|update|prefill|decode)( again)?(?: @(\d+))?: (\w+)\((.*?)\) -> \((.*?)\)(?: (\{.*\}))?$/;

/**
 * The graph that a text describes.
 * @param text The text
 * @param file Its name, for errors
 * @throws {PacacError} usage, with the line that cannot be read
 */
export function parse(text: string, file: string = "graph"): Graph {
  const lines = text.split("\n");
  const head = /^graph (\S+)$/.exec(lines[0]);
  if (head === null) throw refused(file, 1, "the first line must be `graph NAME`");
  const graph = new Graph(head[1]);
  lines.slice(1).forEach((line, index) => {
    if (line.trim() === "" || line.startsWith("#")) return;
    if (!parseTensor(graph, line) && !parseNode(graph, line)) {
      throw refused(file, index + 2, `neither a tensor nor a node of known tensors: ${line}`);
    }
  });
  return graph;
}

function refused(file: string, line: number, why: string): PacacError {
  return new PacacError("usage", `Cannot parse a graph: ${why}`, { place: { file, line } });
}

function parseTensor(graph: Graph, line: string): boolean {
  const match = TENSOR.exec(line);
  if (match === null || graph.find(match[2]) !== undefined) return false;
  const [, role, name, dtype, shape, base, offset, recipe] = match;
  const baseTensor = base === undefined ? undefined : graph.find(base);
  if (base !== undefined && baseTensor === undefined) return false;
  graph.tensor({
    name,
    role: role as Role,
    dtype: dtype as DType,
    shape: shape === "" ? [] : shape.split(",").map(Number),
    ...(baseTensor === undefined ? {} : { view: { base: baseTensor, offset: Number(offset) } }),
    ...(recipe === undefined ? {} : { recipe: JSON.parse(recipe) }),
  });
  return true;
}

function parseNode(graph: Graph, line: string): boolean {
  const match = NODE.exec(line);
  if (match === null) return false;
  const [, phase, again, layer, op, inputs, outputs, attributes] = match;
  const operands = (text: string) => {
    const pairs = text.split(", ").filter((part) => part !== "").map((part) => part.split("="));
    return pairs.map(([name, tensor]) => [name, graph.find(tensor)] as const);
  };
  const [ins, outs] = [operands(inputs), operands(outputs)];
  if ([...ins, ...outs].some(([, tensor]) => tensor === undefined)) return false;
  graph.node({
    op,
    inputs: Object.fromEntries(ins) as Record<string, Tensor>,
    outputs: Object.fromEntries(outs) as Record<string, Tensor>,
    attributes: attributes === undefined ? {} : JSON.parse(attributes),
    phase: phase as Phase,
    layer: layer === undefined ? -1 : Number(layer),
    ...(again === undefined ? {} : { again: true }),
  });
  return true;
}
