/**
 * The cuda target: CUDA C++ for sm_80 and newer. A new kernel is a file of kernels/, its template, and a line here.
 * @module
 */
import type { Isa, Kernel, Target } from "../target.ts";
import { adamw } from "./kernels/adamw.ts";
import { add } from "./kernels/add.ts";
import { attention } from "./kernels/attention.ts";
import { attentionBackward } from "./kernels/attention_backward.ts";
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
import { meanLoss } from "./kernels/mean_loss.ts";
import { rmsNorm } from "./kernels/rms_norm.ts";
import { rmsNormBackward } from "./kernels/rms_norm_backward.ts";
import { rope } from "./kernels/rope.ts";
import { sgd } from "./kernels/sgd.ts";
import { swiglu } from "./kernels/swiglu.ts";
import { swigluBackward } from "./kernels/swiglu_backward.ts";

/** Every kernel of the target. */
const CUDA_KERNELS: readonly Kernel[] = [
  documents,
  embed,
  embedBackward,
  rmsNorm,
  rmsNormBackward,
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
  meanLoss,
  lmHeadLogits,
  globalNorm,
  adamw,
  lion,
  sgd,
];

/**
 * An architecture as an instruction set. Code for it is native there, and PTX beside it that newer parts compile when they load it.
 * @param name `sm_90`
 */
function isaOf(name: `sm_${number}`): Isa {
  return { name, lanes: 32, registers: 255, pairs: 1, flags: [`-arch=${name}`] };
}

/**
 * The cuda target on parts of an architecture and newer ones.
 * @param name `sm_90`
 */
export function cudaTargetOn(name: `sm_${number}`): Target {
  return { name: "cuda", kernels: CUDA_KERNELS, isa: isaOf(name) };
}

/** The cuda target on the oldest part with cp.async and bf16 tensor cores: newer ones run it too. */
export const cudaTarget: Target = cudaTargetOn("sm_80");
