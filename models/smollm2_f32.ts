// models/smollm2.ts with weights and kept activations in float32, to compare: a description is data, and can be built on.
import type { FineTuneSpec } from "@pacac/pacac";
import smollm2 from "./smollm2.ts";

export default {
  ...smollm2,
  name: "smollm2-f32",
  train: { ...smollm2.train, storage: "f32" },
} satisfies FineTuneSpec;
