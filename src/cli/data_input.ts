/**
 * Data as flags name it: read with progress, stopped by Ctrl-C, described in a few lines.
 * @module
 */
import { join } from "node:path";
import { PacacError } from "../errors.ts";
import { cacheFolder, userPath } from "../knobs.ts";
import {
  type DataIdentity,
  type DataOptions,
  type DataProgress,
  FIELD_NAMES,
  loadData,
  type LoadedData,
  parseInput,
  parseMap,
  type TokenRows,
} from "../train/mod.ts";
import { Interrupt } from "./interrupt.ts";
import { grouped, megabytes, percent } from "./print.ts";
import { Status } from "./progress.ts";
import { Exit } from "./run.ts";

/** Flags about data, as typed, and what they are read for. */
export interface DataFlags extends Pick<DataOptions, "tokenizer" | "seqLen"> {
  readonly format?: DataOptions["format"];
  readonly map?: string | undefined;
  readonly skipBad?: number | undefined;
  readonly trainOn?: Exclude<DataOptions["trainOn"], undefined> | undefined;
  readonly packing?: Exclude<DataOptions["strategy"], undefined> | undefined;
  readonly validation?: string | undefined;
}

/** Data that was read, and what its validation part is where that comes from other files. */
export interface ReadData extends LoadedData {
  readonly validationIdentity?: DataIdentity;
}

/** Until progress is shown. */
const QUIET_MS = 1000;

/** Between states on a terminal, and elsewhere: there a tenth of them is printed. */
const [LIVE_MS, PLAIN_MS] = [100, 1000];

/**
 * Reads data, from the cache of tokenised data where it was read before.
 * @param inputs Paths with weights, as typed
 * @param flags Format, map, packing and the like
 * @throws {PacacError} usage, io, data-invalid, tokenizer-invalid
 * @throws {Exit} after Ctrl-C
 */
export async function readData(inputs: readonly string[], flags: DataFlags): Promise<ReadData> {
  const { validation } = flags;
  const share = validation === undefined ? 0 : shareOf(validation);
  const data = await read(inputs, flags, share ?? 0);
  if (validation === undefined || share !== undefined) return data;
  const apart = await read([validation], { ...flags, map: flags.map }, 0);
  return { ...data, validation: apart.train, validationIdentity: apart.identity };
}

/**
 * The share that `--validation` names; nothing where it names a path: a number is a share, anything else a path.
 * @param text As typed
 * @throws {PacacError} usage, where it is not between 0 and 1
 */
export function shareOf(text: string): number | undefined {
  if (!/^\d*\.?\d+(?:e-?\d+)?$/i.test(text)) return undefined;
  const share = Number(text);
  if (share > 0 && share < 1) return share;
  throw new PacacError("usage", `Cannot keep the share ${text} apart: it is not between 0 and 1`, {
    remedy: "give a share as 0.05, or a file",
  });
}

async function read(
  inputs: readonly string[],
  flags: DataFlags,
  validationShare: number,
): Promise<LoadedData> {
  const { tokenizer, seqLen, format, map, skipBad, trainOn, packing } = flags;
  const list = await Promise.all(inputs.map((input) => parseInput(input, userPath)));
  let next = performance.now() + QUIET_MS;
  const every = Deno.stderr.isTerminal() ? LIVE_MS : PLAIN_MS;
  const status = new Status();
  using interrupt = new Interrupt("Stopping");
  try {
    return await loadData(list, {
      tokenizer,
      seqLen,
      validationShare,
      format,
      ...(map === undefined ? {} : { map: parseMap(map, FIELD_NAMES) }),
      ...(skipBad === undefined ? {} : { skipBad }),
      ...(trainOn === undefined ? {} : { trainOn }),
      ...(packing === undefined ? {} : { strategy: packing }),
      cache: join(cacheFolder(), "data"),
      signal: interrupt.signal,
      onProgress(progress) {
        if (performance.now() < next) return;
        next = performance.now() + every;
        status.show(progressText(progress));
      },
    });
  } catch (error) {
    if (interrupt.signal.aborted) throw new Exit(interrupt.exitCode);
    throw error;
  } finally {
    status.end();
  }
}

function progressText({ stage, bytes, totalBytes, rows }: DataProgress): string {
  const share = totalBytes === 0 ? 1 : Math.min(1, bytes / totalBytes);
  const done = `${megabytes(bytes)} of ${megabytes(totalBytes)} (${percent(share)})`;
  return stage === "hash" ? `checking data: ${done}` : `tokenising: ${done}, ${grouped(rows)} rows`;
}

/**
 * How much of the data is trained on, and what was left out.
 * @param data Loaded data
 */
export function describeData({ formats, train, validation, skipped, store }: LoadedData): string {
  const { rows, stats, seqLen } = train;
  const { tokens, supervised, supervisedShare, efficiency } = stats;
  const lines = [
    `${grouped(store.documents)} documents (${formats.join(", ")}) in ${grouped(rows)} rows of ` +
    `${seqLen}, ${percent(efficiency)} full`,
    `${grouped(supervised)} of ${grouped(tokens)} tokens are trained on (${
      percent(supervisedShare)
    })`,
  ];
  if (stats.truncated > 0) {
    lines.push(`documents cut to ${seqLen} tokens: ${grouped(stats.truncated)}`);
  }
  if (stats.dropped > 0) {
    lines.push(`documents with nothing to train on: ${grouped(stats.dropped)}`);
  }
  if (train.mix !== undefined) lines.push(mixText(train));
  if (validation !== undefined) {
    lines.push(`${grouped(validation.stats.documents)} documents are kept apart to validate`);
  }
  if (skipped.length > 0) {
    const [{ place: { file, line }, reason }] = skipped;
    lines.push(`${skipped.length} bad rows are passed over, the first ${file}:${line}: ${reason}`);
  }
  return lines.join("\n");
}

function mixText({ mix = [] }: TokenRows): string {
  const parts = mix.map(({ taken, rows }) => `${grouped(taken)} of ${grouped(rows)}`);
  return `an epoch takes ${parts.join(", ")} rows of the inputs`;
}
