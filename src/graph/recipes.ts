/**
 * How constants get their values: rotary tables, in float64.
 * @module
 */
import type { RopeScaling, RopeTableRecipe } from "./graph.ts";

/**
 * A constant's values.
 * @param recipe Its recipe
 * @returns Row-major values: of a rotary table [seqLen, headDim], h cosines then h sines a row, h = headDim / 2
 */
export function constantValues(recipe: RopeTableRecipe): Float64Array {
  const { seqLen, headDim } = recipe;
  const half = headDim / 2;
  const table = new Float64Array(seqLen * headDim);
  for (let i = 0; i < half; i++) {
    const frequency = scaled(recipe.theta ** (-2 * i / headDim), recipe.scaling);
    for (let p = 0; p < seqLen; p++) {
      table[p * headDim + i] = Math.cos(p * frequency);
      table[p * headDim + half + i] = Math.sin(p * frequency);
    }
  }
  return table;
}

/**
 * A rotary frequency after scaling. llama3: long wavelengths are stretched by `factor`, short ones kept, those between
 * interpolated (Llama 3.1's rule, as Hugging Face's rope_parameters describe it).
 */
function scaled(frequency: number, scaling: RopeScaling): number {
  if (scaling.type === "default") return frequency;
  if (scaling.type === "linear") return frequency / scaling.factor;
  const { factor, lowFreqFactor, highFreqFactor, originalMaxPositionEmbeddings } = scaling;
  const turns = originalMaxPositionEmbeddings * frequency / (2 * Math.PI);
  const smooth = (turns - lowFreqFactor) / (highFreqFactor - lowFreqFactor);
  const keep = Math.min(1, Math.max(0, smooth));
  return frequency * (keep + (1 - keep) / factor);
}
