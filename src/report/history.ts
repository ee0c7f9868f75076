/**
 * A run's events as its metrics.jsonl has them. Whoever wrote the file, only finite numbers and texts get out of here.
 * @module
 */
import { PacacError, type Place } from "../errors.ts";
import { fileSize, join, withFile } from "../formats/files.ts";
import type { SampleEvent } from "../train/events.ts";

/** A step, as it is drawn. */
export interface StepPoint {
  readonly step: number;
  /** Seconds since the run began, without those between an end and going on. */
  readonly at: number;
  readonly loss: number;
  readonly gradNorm: number;
  readonly learningRate: number;
  readonly tokensPerSecond: number;
  /** Not in runs of versions that did not measure it. */
  readonly residentBytes: number | undefined;
  readonly tokens: number;
  readonly seconds: number;
}

/** An evaluation. */
export interface EvalPoint {
  readonly step: number;
  readonly at: number;
  readonly loss: number;
}

/** A run's events by kind, in order of steps. */
export interface RunHistory {
  readonly steps: readonly StepPoint[];
  readonly evaluations: readonly EvalPoint[];
  readonly samples: readonly SampleEvent[];
  /** What was passed over, a sentence each. */
  readonly skipped: readonly string[];
  /** Steps that the run was to have; 0 where no event says it. */
  readonly planned: number;
  /** How the run ended, or that it has not. */
  readonly end: "done" | "stopped early" | "interrupted" | "not ended";
}

/** The name of the file in a run's folder. */
const METRICS = "metrics.jsonl";

/** Larger files are not what a run writes, nor longer lines. */
const [MAX_BYTES, MAX_LINE] = [1 << 30, 1 << 24];

/**
 * Reads a run's events. A last line that a crash cut off is passed over, and so are events of kinds that pages do not show.
 * @param folder The run's folder
 * @throws {PacacError} io, where there is no such file; run-invalid, where a line is no event or no step is in it
 */
export function readHistory(folder: string): RunHistory {
  const file = join(folder, METRICS);
  const size = fileSize(file);
  if (size === undefined) {
    throw new PacacError("io", `Cannot report on the run: there is no ${METRICS}`, {
      place: { file: folder },
      remedy: "name a folder that `deno task train` wrote into",
    });
  }
  if (size > MAX_BYTES) {
    throw new PacacError("run-invalid", `Cannot report on the run: ${size} bytes of events`, {
      place: { file },
      remedy: `at most ${MAX_BYTES} are read`,
    });
  }
  const history = historyOf(file);
  if (history.steps.length > 0) return history;
  throw new PacacError("run-invalid", "Cannot report on the run: it has no step yet", {
    place: { file },
    remedy: "wait for the first step, or name another folder",
  });
}

function historyOf(file: string): RunHistory {
  const collected = new Collector();
  let line = 0;
  for (const text of linesOf(file)) {
    const place = { file, line: ++line };
    const fields = parse(text);
    if (fields === undefined) throw badLine("it is no event", place);
    collected.add(fields, place);
  }
  return collected.history();
}

/** Lines with an end: behind the last end there is nothing, or what a crash left. A file may be larger than the longest text. */
function* linesOf(file: string): Generator<string, void, undefined> {
  using handle = withFile(file, () => Deno.openSync(file));
  const decoder = new TextDecoder(), buffer = new Uint8Array(1 << 20);
  let rest = "";
  for (;;) {
    const count = withFile(file, () => handle.readSync(buffer));
    if (count === null) return;
    const lines = (rest + decoder.decode(buffer.subarray(0, count), { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    if (rest.length > MAX_LINE) throw badLine("a line has no end", { file });
    yield* lines;
  }
}

type Fields = Readonly<Record<string, unknown>>;

function parse(line: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

function badLine(state: string, place: Place): PacacError {
  return new PacacError("run-invalid", `Cannot report on the run: ${state}`, {
    place,
    remedy: "it was changed; remove the line, and the page shows the others",
  });
}

/** What every step has. */
const NEEDED = ["loss", "gradNorm", "learningRate", "tokensPerSecond"] as const;

class Collector {
  readonly #steps = new Map<number, StepPoint>();
  readonly #evaluations = new Map<number, EvalPoint>();
  readonly #samples: SampleEvent[] = [];
  readonly #skipped: string[] = [];
  /** Milliseconds since 1970: when the run would have begun without pauses. */
  #began: number | undefined;
  /** Seconds up to the last event. */
  #at = 0;
  #planned = 0;
  #end: RunHistory["end"] = "not ended";

  add(event: Fields, place: Place): void {
    const { type } = event;
    const time = numberOf(event, "time"), step = numberOf(event, "step");
    if (time === undefined || step === undefined) return;
    if (this.#began === undefined || type === "start") this.#began = time - 1000 * this.#at;
    const at = this.#at = Math.max(this.#at, (time - this.#began) / 1000);
    if (this.#end !== "stopped early" || type !== "done") this.#end = endOf(type) ?? this.#end;
    if (type === "start" || type === "step") {
      this.#planned = numberOf(event, "steps") ?? this.#planned;
    }
    if (type === "start") this.#end = "not ended";
    if (type === "step") this.#step(event, { step, at }, place);
    if (type === "eval") {
      const loss = numberOf(event, "loss");
      if (loss !== undefined) this.#evaluations.set(step, { step, at, loss });
    }
    if (type === "sample") this.#sample(event, step);
    if (type === "skipped") this.#skipped.push(skippedText(event));
  }

  #step(event: Fields, when: { readonly step: number; readonly at: number }, place: Place): void {
    const number = (field: string) => numberOf(event, field);
    const [loss, gradNorm, learningRate, tokensPerSecond] = NEEDED.map((field) => {
      // JSON has no other word for what is not finite.
      const value = event[field] === null ? NaN : event[field];
      if (typeof value === "number") return value;
      throw badLine(`a step's ${field} is no number`, { ...place, field });
    });
    if (![loss, gradNorm, learningRate, tokensPerSecond].every(Number.isFinite)) return;
    this.#steps.set(when.step, {
      ...when,
      loss,
      gradNorm,
      learningRate,
      tokensPerSecond,
      residentBytes: number("residentBytes"),
      tokens: number("tokens") ?? 0,
      seconds: number("seconds") ?? 0,
    });
  }

  #sample(event: Fields, step: number): void {
    const { prompt, expected, text } = event;
    const sample = numberOf(event, "sample");
    if (sample === undefined || typeof prompt !== "string" || typeof text !== "string") return;
    const known = typeof expected === "string" ? expected : "";
    this.#samples.push({ type: "sample", step, sample, prompt, expected: known, text });
  }

  history(): RunHistory {
    const byStep = <Point extends { readonly step: number }>(points: ReadonlyMap<number, Point>) =>
      [...points.values()].sort((a, b) => a.step - b.step);
    return {
      steps: byStep(this.#steps),
      evaluations: byStep(this.#evaluations),
      samples: this.#samples,
      skipped: this.#skipped,
      planned: this.#planned,
      end: this.#end,
    };
  }
}

function endOf(type: unknown): RunHistory["end"] | undefined {
  if (type === "done") return "done";
  if (type === "stopped") return "stopped early";
  return type === "interrupted" ? "interrupted" : undefined;
}

function numberOf(event: Fields, name: string): number | undefined {
  const value = event[name];
  return typeof value === "number" && Number.isFinite(value) ? value : undefined;
}

function skippedText(event: Fields): string {
  const reason = typeof event["reason"] === "string" ? event["reason"] : "no reason is known";
  const rows = Array.isArray(event["rows"]) ? event["rows"].map(String).join(", ") : "";
  return rows === "" ? reason : `${reason} (${rows})`;
}
