/**
 * A graph as text, one line a tensor and a node; src/graph/parse.ts reads it back.
 * @module
 */
import type { Graph, Node, Tensor } from "./graph.ts";

/**
 * The graph's text.
 * @param graph The graph
 */
export function print(graph: Graph): string {
  // Views follow their bases, so that one reading of the text suffices.
  const isView = (tensor: Tensor) => tensor.view !== undefined;
  return [
    `graph ${graph.name}`,
    ...graph.tensors.filter((tensor) => !isView(tensor)).map(printTensor),
    ...graph.tensors.filter(isView).map(printTensor),
    ...graph.nodes.map(printNode),
    "",
  ].join("\n");
}

function printTensor(tensor: Tensor): string {
  const view = tensor.view === undefined ? "" : ` = ${tensor.view.base.name}+${tensor.view.offset}`;
  const recipe = tensor.recipe === undefined ? "" : ` from ${JSON.stringify(tensor.recipe)}`;
  return `${tensor.role} ${tensor.name} ${tensor.dtype}[${tensor.shape}]${view}${recipe}`;
}

function printNode(node: Node): string {
  const list = (operands: Readonly<Record<string, Tensor>>) =>
    Object.entries(operands).map(([name, tensor]) => `${name}=${tensor.name}`).join(", ");
  const layer = node.layer < 0 ? "" : ` @${node.layer}`;
  const attributes = Object.keys(node.attributes).length === 0
    ? ""
    : ` ${JSON.stringify(node.attributes)}`;
  const again = node.again === true ? " again" : "";
  return `${node.phase}${again}${layer}: ${node.op}(${list(node.inputs)}) -> (${
    list(node.outputs)
  })${attributes}`;
}
