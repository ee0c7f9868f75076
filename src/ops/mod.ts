/**
 * All ops by name. A new op is a file of this folder and a line here.
 * @module
 */
import { invariant } from "../errors.ts";
import { adamw, globalNorm } from "./adamw.ts";
import { adaptedLinear } from "./adapted_linear.ts";
import { add } from "./add.ts";
import { attention, attentionBackward } from "./attention.ts";
import { attentionCached, cacheAppend } from "./attention_cached.ts";
import { documents } from "./documents.ts";
import { embed, embedBackward } from "./embed.ts";
import { linear, linearBackwardBias, linearBackwardInput, linearBackwardWeight } from "./linear.ts";
import { lion } from "./lion.ts";
import { lmHeadLogits, lmHeadLoss, meanLoss } from "./lm_head.ts";
import type { Op } from "./op.ts";
import { pacaLinear, pacaLinearBackwardDelta, pacaLinearBackwardInput } from "./paca_linear.ts";
import { rmsNorm, rmsNormBackward } from "./rms_norm.ts";
import { rope } from "./rope.ts";
import { sgd } from "./sgd.ts";
import { swiglu, swigluBackward } from "./swiglu.ts";

/** Every op, in the order of a training step; then those that write text. */
export const OPS: readonly Op[] = [
  documents,
  embed,
  embedBackward,
  rmsNorm,
  rmsNormBackward,
  linear,
  linearBackwardInput,
  linearBackwardWeight,
  linearBackwardBias,
  pacaLinear,
  pacaLinearBackwardInput,
  pacaLinearBackwardDelta,
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
  adaptedLinear,
  cacheAppend,
  attentionCached,
];

const byName = new Map(OPS.map((op) => [op.name, op]));

/**
 * The op of that name; a bug where there is none.
 * @param name An op's name
 */
export function opOf(name: string): Op {
  const found = byName.get(name);
  invariant(found !== undefined, `there is no op ${name}`);
  return found;
}
