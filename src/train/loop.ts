/**
 * The training loop: batches by position, learning rate by step, checkpoints, events.
 * @module
 */
import { PacacError } from "../errors.ts";
import { checkBatch } from "./batch.ts";
import type { DataIdentity } from "./data/identity.ts";
import { RowOrder, rowsOfEpoch, takeRows, type TrainingData } from "./data/order.ts";
import { TokenRows } from "./data/token_rows.ts";
import type { ScheduleSettings } from "./engine.ts";
import type { TrainEvent } from "./events.ts";
import { elementsOf, trainedTensors } from "./program.ts";
import { planOf } from "./run_plan.ts";
import { noteDue, noteLoss, Saving, stoppedEarly, takeIdentity } from "./run_state.ts";
import { planSchedule } from "./schedule.ts";
import { Stepper } from "./stepper.ts";
import type { Trainer } from "./trainer.ts";

/** What {@linkcode train} takes beside the trainer. */
export interface TrainOptions {
  /** Rows to train on. */
  readonly data: TrainingData;
  /** Steps of the whole run, those before a resume included; one epoch where it is not said. */
  readonly steps?: number;
  /** Ends the run after the step that is under way, or after a batch of an evaluation, which the run then goes on with. */
  readonly signal?: AbortSignal;
  /** Measured every `evaluateEvery` steps and at the end. */
  readonly validation?: TrainingData;
  /** Steps between evaluations; at the end alone where it is not said. */
  readonly evaluateEvery?: number;
  /** Called after each batch of an evaluation, which may take as long as many steps. */
  readonly onEvaluate?: (done: number, total: number) => void;
  /** Where checkpoints go: every `saveEvery` steps, on an interrupt, and at the end. */
  readonly checkpoint?: string;
  /** Steps between checkpoints; at the end alone where it is not said. */
  readonly saveEvery?: number;
  /** Minutes between checkpoints, whatever the steps. */
  readonly saveMinutes?: number;
  /** Checkpoints that stay, the newest counted; 1 where it is not said. */
  readonly keep?: number;
  /** What the data is: kept in checkpoints with steps and rates, and a run that was resumed goes on with the same alone. */
  readonly identity?: DataIdentity;
  /** What the validation data is, where it comes from files of its own. */
  readonly validationIdentity?: DataIdentity;
  /** Evaluations without a lower loss after which the run ends. */
  readonly patience?: number;
  /** Where the checkpoint of the lowest validation loss goes. */
  readonly best?: string;
  /** Whether a loss that is no number ends the run, as it does where this is not said, or its rows are passed over. */
  readonly onNan?: "stop" | "skip";
  /** The model description's where they are not said. */
  readonly learningRate?: number;
  /** What is not the model description's in the course of the learning rate. */
  readonly schedule?: Partial<ScheduleSettings>;
  /** Decoupled decay. */
  readonly weightDecay?: number;
  /** Gradients are clipped to this global norm; 0: not at all. */
  readonly maxGradNorm?: number;
}

/**
 * Trains from where the trainer stands to the last step.
 * @param trainer The trainer
 * @param options Data, steps, signal and where to save
 * @throws {PacacError} batch-invalid, data-invalid, training-diverged, io
 */
export async function* train(
  trainer: Trainer,
  options: TrainOptions,
): AsyncGenerator<TrainEvent, void, undefined> {
  const { info } = trainer;
  const { data, signal, validation, checkpoint } = options;
  checkData(data, "data", trainer);
  if (validation !== undefined) checkData(validation, "validation", trainer);
  const rowsPerStep = info.batch * info.accumulate;
  const stepsPerEpoch = rowsOfEpoch(data) / rowsPerStep;
  const steps = options.steps ?? Math.ceil(stepsPerEpoch);
  const schedule = planSchedule(info.schedule, {
    steps,
    stepsPerEpoch,
    learningRate: options.learningRate ?? info.optimizer.learningRate,
    given: options.schedule,
  });
  if (options.identity !== undefined) {
    takeIdentity(trainer, {
      data: options.identity,
      validation: options.validationIdentity,
      plan: planOf(info, { ...options, schedule }),
    });
  }
  const order = new RowOrder(data, trainer.seed);
  const stepper = new Stepper(trainer, order, { ...options, schedule });
  const saving = new Saving(trainer, options);
  yield {
    type: "start",
    step: trainer.stepsDone,
    steps,
    rows: data.rows,
    batch: info.batch,
    accumulate: info.accumulate,
    seqLen: info.seqLen,
    parameters: trainedTensors(info).reduce((sum, { shape }) => sum + elementsOf(shape), 0),
    optimizer: info.optimizer.kind,
    schedule,
  };
  const began = performance.now();
  let tokens = 0, loss = Number.NaN;
  // A run that ended early and goes on with the same patience is at its end still.
  const ended = stoppedEarly(trainer, options.patience);
  if (ended !== undefined) yield ended;
  const isEvaluationDue = () => validation !== undefined && trainer.run.unevaluated === true;
  while (ended === undefined && (trainer.stepsDone < steps || isEvaluationDue())) {
    if (signal?.aborted) {
      if (checkpoint !== undefined) yield await saving.save(checkpoint);
      yield { type: "interrupted", step: trainer.stepsDone, steps };
      return;
    }
    if (!isEvaluationDue()) {
      const event = await stepper.step();
      yield event;
      if (event.type === "skipped") continue;
      tokens += event.tokens;
      loss = event.loss;
      const due = isDue(trainer.stepsDone, options.evaluateEvery, trainer.stepsDone >= steps);
      if (validation !== undefined && due) noteDue(trainer);
    }
    const last = trainer.stepsDone >= steps;
    if (validation !== undefined && isEvaluationDue()) {
      const result = await evaluateAll(trainer, validation, options);
      if (result === undefined) continue;
      yield { type: "eval", step: trainer.stepsDone, ...result };
      const better = noteLoss(trainer, result.loss);
      if (better && options.best !== undefined) yield await saving.save(options.best);
    }
    const stopped = stoppedEarly(trainer, options.patience);
    if (checkpoint !== undefined && saving.isDue(last || stopped !== undefined)) {
      yield await saving.save(checkpoint);
    }
    if (stopped === undefined) continue;
    yield stopped;
    break;
  }
  const seconds = (performance.now() - began) / 1000;
  const tokensPerSecond = seconds === 0 ? 0 : tokens / seconds;
  yield { type: "done", step: trainer.stepsDone, loss, tokens, seconds, tokensPerSecond };
}

function isDue(step: number, every: number | undefined, last: boolean): boolean {
  return last || (every !== undefined && every > 0 && step % every === 0);
}

/**
 * Mean loss over all supervised tokens of a set, batch by batch; the last batch is filled up with padding. Undefined where it was
 * interrupted.
 */
async function evaluateAll(
  trainer: Trainer,
  data: TrainingData,
  { signal, onEvaluate }: TrainOptions,
): Promise<{ loss: number; supervised: number } | undefined> {
  const { batch } = trainer.info;
  let sum = 0, supervised = 0;
  for (let at = 0; at < data.rows; at += batch) {
    if (signal?.aborted) return undefined;
    const rows = Array.from({ length: batch }, (_, i) => at + i < data.rows ? at + i : -1);
    const result = await trainer.evaluate(takeRows(data, rows));
    sum += result.loss * result.supervised;
    supervised += result.supervised;
    onEvaluate?.(at / batch + 1, Math.ceil(data.rows / batch));
  }
  return { loss: sum / supervised, supervised };
}

/** A row that cannot be used is told before the first step, not in the middle of a run. */
function checkData(data: TrainingData, name: string, { info }: Trainer): void {
  if (data.seqLen !== info.seqLen) {
    throw new PacacError("batch-invalid", `Cannot use rows of ${data.seqLen} tokens`, {
      place: { field: name },
      remedy: `pack into rows of ${info.seqLen} tokens, the program's seqLen`,
    });
  }
  if (!(data instanceof TokenRows)) checkBatch(data, { ...info, batch: data.rows });
  else if (data.idLimit > info.vocabSize) {
    const state = `${data.idLimit - 1} is no id below ${info.vocabSize}`;
    throw new PacacError("batch-invalid", `Cannot use the rows: ${state}`, {
      place: { field: name },
      remedy: "check that the tokenizer belongs to the model",
    });
  }
}
