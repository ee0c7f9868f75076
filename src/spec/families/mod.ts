/**
 * Which family a Hugging Face `model_type` belongs to. A new family is a file of this folder and a line here.
 * @module
 */
import type { Architecture } from "../description.ts";
import { llama, type LlamaConfig } from "./llama.ts";

/** Families by model_type. */
export const FAMILIES = { llama, mistral: llama, qwen2: llama } satisfies Readonly<
  Record<string, (config: LlamaConfig) => Architecture>
>;
