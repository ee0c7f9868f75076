// models/smollm2.ts with activations and arithmetic in float32, to compare: a description is data, and can be built on. The checkpoint
// is bf16, and so are its weights here: nothing is lost by it. Kept activations are bounded so that a step takes a quarter of the memory that PEFT LoRA takes in
// float32; a few gates are rebuilt.
import type { FineTuneSpec } from "@pacac/pacac";
import smollm2 from "./smollm2.ts";

export default {
  ...smollm2,
  name: "smollm2-f32",
  train: { ...smollm2.train, storage: "f32", weights: "bf16", maxKeptBytes: 1_208_000_000 },
} satisfies FineTuneSpec;
