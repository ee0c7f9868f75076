/**
 * What generated trainers import: data, tokenizer, the trainer and its loop, text generation. It knows no compiler.
 * @module
 */
export type { Place } from "../errors.ts";
export type { AdapterFormat } from "../formats/adapter.ts";
export type { CardFacts } from "../formats/model_card.ts";
export type { SaveAdapterOptions } from "./adapter.ts";
export { type BpeOptions, learnBpe } from "./bpe.ts";
export { Decoder, loadDecoder } from "./decoder.ts";
export type { BatchCounts } from "./batch.ts";
export {
  alpacaPrompt,
  DATA_FORMATS,
  type DataFormat,
  type DataIdentity,
  type DataInput,
  type DataOptions,
  type DataProgress,
  type DataSummary,
  type Document,
  type DocumentIndex,
  FIELD_NAMES,
  type FileIdentity,
  type FileReport,
  type Instruction,
  type LengthBin,
  listFiles,
  loadData,
  type LoadedData,
  type MixPart,
  mmluPrompt,
  type MmluQuestion,
  mmluQuestion,
  type MmluSurroundings,
  mmluSurroundings,
  pack,
  PACK_STRATEGIES,
  type PackedData,
  type PackOptions,
  type PackStats,
  type PackStrategy,
  parseInput,
  parseMap,
  pinnedInput,
  requireSameData,
  type Row,
  RowOrder,
  rowsOfEpoch,
  type SkippedRow,
  summarize,
  takeRows,
  TokenRows,
  type TokenRowsOptions,
  type TokenSource,
  TokenStore,
  TRAIN_ON,
  type TrainingData,
  type TrainOn,
} from "./data/mod.ts";
export type {
  AdamwSettings,
  AdaptedLinear,
  Batch,
  DecodeEngine,
  DType,
  Engine,
  LionSettings,
  OptimizerSettings,
  ProgramInfo,
  Role,
  ScheduleSettings,
  ScheduleSpan,
  SgdSettings,
  StepSettings,
  TensorInfo,
  TensorStore,
  WeightSource,
} from "./engine.ts";
export type {
  DoneEvent,
  EvalEvent,
  InterruptedEvent,
  SampleEvent,
  SavedEvent,
  SkippedEvent,
  StartEvent,
  StepEvent,
  StoppedEvent,
  TrainEvent,
} from "./events.ts";
export { type FileSample, samplesOf } from "./file_sample.ts";
export {
  evaluateGsm8k,
  evaluateMmlu,
  type Gsm8kAnswer,
  type Gsm8kEvaluation,
  type Gsm8kItem,
  type Gsm8kOptions,
  loadGsm8k,
  loadMmlu,
  type MmluAnswer,
  type MmluEvaluation,
  type MmluItem,
  type MmluOptions,
  type QuestionOptions,
  type Score,
  scoreOf,
} from "./evaluate/mod.ts";
export type { JsonObject } from "./json.ts";
export { generate, type GenerateOptions, type TextModel, type Written } from "./generate.ts";
export type { KernelTrace, NativeTrace, TracedCall, TracedSpan } from "./kernel_trace.ts";
export { type LoadOptions, loadTrainer } from "./load.ts";
export { JsonlLogger, type Logger, Loggers } from "./logger.ts";
export { TensorBoardLogger } from "./log_tensorboard.ts";
export type { TrainOptions } from "./loop.ts";
export type { MergeOptions } from "./merge.ts";
export {
  type ConstantSource,
  type KernelProfile,
  NativeEngine,
  type NativeEngineOptions,
  type NativeMemory,
  type NativeModule,
  type NativeOptions,
  type NativeProgram,
  type NativeResult,
  type NativeValues,
  openAddon,
} from "./native_engine.ts";
export { drawColumns, drawNormals, permutation, Random } from "./random.ts";
export {
  learningRateAt,
  planSchedule,
  type RateSchedule,
  type RunLength,
  SCHEDULES,
} from "./schedule.ts";
export { type ChatOptions, loadTokenizer, type Message, Tokenizer } from "./tokenizer.ts";
export type { EvaluateResult, StepOptions, StepResult } from "./results.ts";
export {
  type CheckpointProgress,
  checkpointProgress,
  removeCheckpoints,
  type SaveOptions,
} from "./checkpoint.ts";
export {
  type FlagValue,
  locateRun,
  readRunFile,
  type RunFile,
  type RunPlace,
  type RunProgram,
  writeRunFile,
} from "./run_file.ts";
export { type Candidate, distribution, Sampler, type SamplingOptions } from "./sampling.ts";
export { stopIds } from "./stop_ids.ts";
export { TextStream } from "./text_stream.ts";
export { RunLock } from "./run_lock.ts";
export type { RunPlan } from "./run_plan.ts";
export { answerSamples, type SampleOptions, type SamplePrompt, samplePrompts } from "./samples.ts";
export {
  type BestLoss,
  type RunState,
  type TensorTable,
  Trainer,
  type TrainerOptions,
  type Values,
} from "./trainer.ts";
export { chooseVariant } from "./variants.ts";
