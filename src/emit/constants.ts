/**
 * Values of constant tensors (rotary tables), computed once here and kept in one file that every load maps.
 * @module
 */
import { must } from "../errors.ts";
import type { Graph } from "../graph/graph.ts";
import { constantValues } from "../graph/recipes.ts";

/** Name of the file in the generated folder. */
export const CONSTANTS_FILE = "constants.bin";

/** One constant's place in the file. */
export interface ConstantPlace {
  readonly name: string;
  readonly byteOffset: number;
}

/** The file, and what lies where. */
export interface Constants {
  readonly bytes: Uint8Array;
  readonly places: readonly ConstantPlace[];
}

/**
 * The constants of a graph as little-endian float32.
 * @param graph The graph
 */
export function constantsOf(graph: Graph): Constants {
  const tensors = graph.tensors.filter(({ recipe }) => recipe !== undefined);
  const values = tensors.map(({ name, recipe }) =>
    constantValues(must(recipe, `recipe of ${name}`))
  );
  const bytes = new Uint8Array(4 * values.reduce((sum, { length }) => sum + length, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  const places = tensors.map(({ name }, i) => {
    const place = { name, byteOffset: at };
    for (const value of values[i]) {
      view.setFloat32(at, value, true);
      at += 4;
    }
    return place;
  });
  return { bytes, places };
}
