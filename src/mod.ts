/**
 * pacac: a compiler from model descriptions to programs that fine-tune with PaCA. This is what a description imports.
 * @module
 */
export {
  add,
  architecture,
  attention,
  embed,
  type Head,
  linear,
  lmHead,
  repeat,
  type RepeatOptions,
  rmsNorm,
  rope,
  type RopeOptions,
  swiGlu,
  type Tokens,
  type Value,
} from "./spec/architecture.ts";
export {
  adamw,
  type AdamwOptions,
  constant,
  cosine,
  type CosineOptions,
  fineTune,
  type FineTuneOptions,
  fromPretrained,
  full,
  paca,
  type PacaOptions,
  type TrainOptions,
} from "./spec/fine_tune.ts";
export { llama, type LlamaConfig } from "./spec/families/llama.ts";
export type {
  AdamwSpec,
  AdaptSpec,
  Architecture,
  FineTuneSpec,
  ModelSpec,
  Repeat,
  RopeScalingSpec,
  ScheduleSpec,
  Step,
  TrainSpec,
} from "./spec/description.ts";
