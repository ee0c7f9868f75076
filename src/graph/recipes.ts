/**
 * How constants get their values: rotary tables.
 *
 * Plain frequencies are rounded to float32, as Hugging Face's models hold them whatever the model's type is; llama3's rule
 * works on unrounded ones. Angles and their sines are float64.
 * @module
 */
import type { RopeScalingSpec } from "../spec/description.ts";
import type { RopeTableRecipe } from "./graph.ts";

/**
 * A constant's values.
 * @param recipe Its recipe
 * @returns Row-major values: of a rotary table [seqLen, headDim], h cosines then h sines a row, h = headDim / 2
 */
export function constantValues(recipe: RopeTableRecipe): Float64Array {
  const { seqLen, headDim, theta, scaling } = recipe;
  const half = headDim / 2;
  const table = new Float64Array(seqLen * headDim);
  for (let i = 0; i < half; i++) {
    const frequency = frequencyOf(theta, { exponent: 2 * i / headDim, scaling });
    for (let p = 0; p < seqLen; p++) {
      table[p * headDim + i] = Math.cos(p * frequency);
      table[p * headDim + half + i] = Math.sin(p * frequency);
    }
  }
  return table;
}

/**
 * theta^-exponent, scaled. llama3: long wavelengths are stretched by `factor`, short ones kept, those between
 * interpolated (Llama 3.1's rule, as Hugging Face's rope_parameters describe it).
 */
function frequencyOf(
  theta: number,
  { exponent, scaling }: { readonly exponent: number; readonly scaling: RopeScalingSpec },
): number {
  if (scaling.type !== "llama3") {
    const plain = Math.fround(1 / Math.fround(theta ** Math.fround(exponent)));
    return scaling.type === "linear" ? Math.fround(plain / scaling.factor) : plain;
  }
  const frequency = theta ** -exponent;
  const { factor, lowFreqFactor, highFreqFactor, originalMaxPositionEmbeddings } = scaling;
  const turns = originalMaxPositionEmbeddings * frequency / (2 * Math.PI);
  const smooth = (turns - lowFreqFactor) / (highFreqFactor - lowFreqFactor);
  const kept = Math.min(1, Math.max(0, smooth));
  return frequency * (kept + (1 - kept) / factor);
}
