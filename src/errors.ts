/**
 * Every error a person can meet: its code, and the class that carries the place and the way out.
 *
 * A user's fault is a {@linkcode PacacError}; a fault of pacac's own is a {@linkcode Bug}. The command line
 * prints the first without a stack and exits with 1, the second with one and exits with 70.
 * @module
 */

/** Codes of users' errors. Each has a file of the same name under tests/errors/ that brings it about. */
export const ERROR_CODES = {
  "spec-not-found": "The model description file is not there",
  "spec-types": "The model description does not type-check",
  "spec-value": "A field of the model description has a value that does not fit",
  "spec-run": "Evaluating the model description failed",
  "spec-shape": "Shapes in the model description do not fit together",
  "model-not-found": "The model's files are not there",
  "config-invalid": "A Hugging Face config.json does not say what is needed",
  "family-unknown": "The model's architecture is not one pacac knows",
  "safetensors-invalid": "A safetensors file is damaged or hostile",
  "gguf-invalid": "A GGUF file is damaged, hostile or of a kind that is not read",
  "weights-mismatch": "The weights do not fit the model",
  "adapter-invalid": "An adapter folder does not fit the model",
  "checkpoint-invalid": "A checkpoint does not fit this build",
  "data-invalid": "A data file has a row that cannot be used",
  "tokenizer-invalid": "The tokenizer or chat template cannot be used",
  "batch-invalid": "A batch has the wrong shape or content",
  "target-unknown": "There is no such target or instruction set on this machine",
  "toolchain-missing": "A compiler that is needed is not installed",
  "build-failed": "The C++ compiler refused generated code",
  "load-failed": "A built addon does not load",
  "run-invalid": "The record of a run cannot be used",
  "training-diverged": "The loss is no longer a number",
  "hub-failed": "A model hub cannot be reached or refuses",
  "usage": "The command line cannot be understood",
  "report-invalid": "A report of a standalone program is not what such programs write",
  "ptx-invalid": "PTX text is not what the emulator can run",
  "io": "A file cannot be read or written",
} as const;

/** One of the codes in {@linkcode ERROR_CODES}. */
export type ErrorCode = keyof typeof ERROR_CODES;

/** Where something is wrong: a file with a line, a field, or a byte offset. */
export interface Place {
  /** Path of the file. */
  readonly file?: string;
  /** Line, from 1. */
  readonly line?: number;
  /** Column, from 1. */
  readonly column?: number;
  /** Field, `adapt.rank` or `[3].output`. */
  readonly field?: string;
  /** Offset in bytes, from 0. */
  readonly byte?: number;
}

/** What a {@linkcode PacacError} says beside its message. */
export interface ErrorDetail {
  /** Where it is wrong. */
  readonly place?: Place;
  /** What to do about it, as a sentence. */
  readonly remedy?: string;
  /** The error underneath. */
  readonly cause?: unknown;
}

/** An error that the user can mend: bad input, a missing file, a wrong flag. */
export class PacacError extends Error {
  override readonly name = "PacacError";
  /** Which kind of error it is. */
  readonly code: ErrorCode;
  /** Where it is wrong. */
  readonly place: Place;
  /** What to do about it. */
  readonly remedy: string;

  /**
   * @param code Which kind of error it is
   * @param message What is wrong, "Cannot X: state", no full stop
   * @param detail Place, remedy and cause
   */
  constructor(code: ErrorCode, message: string, detail: ErrorDetail = {}) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause });
    this.code = code;
    this.place = detail.place ?? {};
    // A file that cannot be had is nearly always a wrong name.
    this.remedy = detail.remedy ?? (code === "io" ? "check the path" : "");
  }

  /** The text a user sees: place, message, remedy; no stack. */
  format(): string {
    const at = formatPlace(this.place);
    const lines = [`error[${this.code}]: ${at === "" ? "" : `${at}: `}${this.message}`];
    if (this.remedy !== "") lines.push(`  help: ${this.remedy}`);
    return lines.join("\n");
  }
}

/** A fault in pacac itself: an invariant did not hold. */
export class Bug extends Error {
  override readonly name = "Bug";
}

/**
 * Asserts an invariant of pacac's own; a failure is a {@linkcode Bug}.
 * @param condition What must hold
 * @param message What did not hold
 */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Bug(message);
}

/**
 * Returns the value, or throws a {@linkcode Bug} where it is missing.
 * @param value A value that must be there
 * @param what Its name in the message
 */
export function must<T>(value: T | undefined | null, what: string): T {
  if (value === undefined || value === null) throw new Bug(`${what} is missing`);
  return value;
}

/**
 * A place as `file:line:column (field)`, or "" where nothing is known.
 * @param place The place
 */
function formatPlace(place: Place): string {
  let text = place.file ?? "";
  if (place.line !== undefined) text += `:${place.line}`;
  if (place.column !== undefined) text += `:${place.column}`;
  if (place.byte !== undefined) text += `+${place.byte}`;
  if (place.field !== undefined) text += text === "" ? place.field : ` (${place.field})`;
  return text;
}
