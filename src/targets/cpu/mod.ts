/**
 * The cpu target: C++ for this machine's vectors. A new kernel is a file of kernels/, its template, and a line here.
 * @module
 */
import type { Kernel, Target } from "../target.ts";
import { type IsaName, ISAS } from "./isas.ts";
import { adamw } from "./kernels/adamw.ts";
import { adaptedLinear } from "./kernels/adapted_linear.ts";
import { add } from "./kernels/add.ts";
import { attention } from "./kernels/attention.ts";
import { attentionBackward } from "./kernels/attention_backward.ts";
import { attentionCached } from "./kernels/attention_cached.ts";
import { cacheAppend } from "./kernels/cache_append.ts";
import { documents } from "./kernels/documents.ts";
import { embed } from "./kernels/embed.ts";
import { embedBackward } from "./kernels/embed_backward.ts";
import { globalNorm } from "./kernels/global_norm.ts";
import { linear } from "./kernels/linear.ts";
import { linearBackwardBias } from "./kernels/linear_backward_bias.ts";
import { linearBackwardInput } from "./kernels/linear_backward_input.ts";
import { linearBackwardWeight } from "./kernels/linear_backward_weight.ts";
import { lion } from "./kernels/lion.ts";
import { lmHeadLogits } from "./kernels/lm_head_logits.ts";
import { lmHeadLoss } from "./kernels/lm_head_loss.ts";
import { lmHeadLossTrained } from "./kernels/lm_head_loss_trained.ts";
import { matvec } from "./kernels/matvec.ts";
import { meanLoss } from "./kernels/mean_loss.ts";
import { rmsNorm } from "./kernels/rms_norm.ts";
import { rmsNormBackward } from "./kernels/rms_norm_backward.ts";
import { rope } from "./kernels/rope.ts";
import { sgd } from "./kernels/sgd.ts";
import { swiglu } from "./kernels/swiglu.ts";
import { swigluBackward } from "./kernels/swiglu_backward.ts";

/** Every kernel of the target; the first that serves a node gets it. */
const CPU_KERNELS: readonly Kernel[] = [
  documents,
  embed,
  embedBackward,
  rmsNorm,
  rmsNormBackward,
  matvec,
  linear,
  linearBackwardInput,
  linearBackwardWeight,
  linearBackwardBias,
  rope,
  attention,
  attentionBackward,
  swiglu,
  swigluBackward,
  add,
  lmHeadLoss,
  lmHeadLossTrained,
  meanLoss,
  lmHeadLogits,
  globalNorm,
  adamw,
  lion,
  sgd,
  adaptedLinear,
  cacheAppend,
  attentionCached,
];

/**
 * The cpu target with one instruction set.
 * @param isa Its name
 * @param options `rounds`: whether products may round activations to pairs of bf16 where weights are bf16, default true
 */
export function cpuTarget(isa: IsaName, { rounds = true } = {}): Target {
  const all = ISAS[isa];
  return { name: "cpu", kernels: CPU_KERNELS, isa: rounds ? all : { ...all, pairs: 0 } };
}
