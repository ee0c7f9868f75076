/**
 * Benchmarks whose answers are right or wrong, asked of a trainer's model as it is now.
 * @module
 */
export {
  evaluateGsm8k,
  type Gsm8kAnswer,
  type Gsm8kEvaluation,
  type Gsm8kItem,
  type Gsm8kOptions,
  loadGsm8k,
} from "./gsm8k.ts";
export {
  evaluateMmlu,
  loadMmlu,
  type MmluAnswer,
  type MmluEvaluation,
  type MmluItem,
  type MmluOptions,
} from "./mmlu.ts";
export { type QuestionOptions } from "./rows.ts";
export { type Score, scoreOf } from "./score.ts";
