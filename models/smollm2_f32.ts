// models/smollm2.ts with weights and kept activations in float32, to compare: a description is data, and can be built on.
// Kept activations are bounded so that a step takes a quarter of the memory that PEFT LoRA takes in float32; some gates are rebuilt.
import type { FineTuneSpec } from "@pacac/pacac";
import smollm2 from "./smollm2.ts";

export default {
  ...smollm2,
  name: "smollm2-f32",
  train: { ...smollm2.train, storage: "f32", maxKeptBytes: 900_000_000 },
} satisfies FineTuneSpec;
