/**
 * An engine that knows no language: behind each prompt it gives the highest logit to the letter that the prompt's question asks
 * for, so that a test sees whether the right position of the right question is read.
 * @module
 */
import type { Batch, Engine, ProgramInfo } from "../../../src/train/engine.ts";
import type { Tokenizer } from "../../../src/train/tokenizer.ts";
import { Trainer } from "../../../src/train/trainer.ts";
import { fakeInfo } from "../fake_engine.ts";

/** Rows whose logits are computed in one go; few, so that a batch needs several calls. */
const ROWS = 2;

/** What the oracle saw and says. */
export interface Oracle {
  readonly trainer: Trainer;
  /** Prompts as text, in the order in which they were asked. */
  readonly prompts: string[];
  /** Forward passes. */
  readonly batches: () => number;
}

/**
 * A trainer over an oracle.
 * @param tokenizer Whose ids the prompts are
 * @param shape Rows of a batch and their tokens
 * @param say Logits of the letters A to D for a prompt
 */
export function oracle(
  tokenizer: Tokenizer,
  { batch, seqLen }: { readonly batch: number; readonly seqLen: number },
  say: (prompt: string) => readonly number[],
): Oracle {
  const prompts: string[] = [];
  const base = fakeInfo({ batch, seqLen, method: "full" });
  const info: ProgramInfo = {
    ...base,
    vocabSize: tokenizer.vocabSize,
    tensors: [{ name: "rows", shape: [ROWS], dtype: "i32", role: "input" }],
  };
  const letters = ["A", "B", "C", "D"].map((letter) => tokenizer.encode(` ${letter}`)[0]);
  let last: Batch | undefined;
  let batches = 0;
  const none = () => {
    throw new Error("the oracle is asked forward alone");
  };
  const engine: Engine = {
    info,
    load: none,
    write: none,
    read: none,
    step: none,
    gradients: none,
    forward(given) {
      last = given;
      batches++;
      if (given.labels.some((label) => label !== -100)) throw new Error("a token is trained on");
      return Promise.resolve({ loss: 0 });
    },
    logits(rows) {
      if (last === undefined || rows.length > ROWS) throw new Error("no such rows");
      const values = new Float32Array(rows.length * info.vocabSize).fill(-9);
      for (const [i, row] of rows.entries()) {
        const prompt = promptAt(last, { row, seqLen, tokenizer });
        prompts.push(prompt);
        // Another token is likelier still, as it may be: the letters alone are compared.
        values[i * info.vocabSize] = 99;
        say(prompt).forEach((value, k) => values[i * info.vocabSize + letters[k]] = value);
      }
      return Promise.resolve(values);
    },
    memory: () => ({ arenaUsed: 0, stepAllocations: 0 }),
    dispose() {},
  };
  return { trainer: new Trainer(engine), prompts, batches: () => batches };
}

/** The document that ends at a position, which must be its last. */
function promptAt(
  { inputIds, segmentIds }: Batch,
  { row, seqLen, tokenizer }: { row: number; seqLen: number; tokenizer: Tokenizer },
): string {
  const segment = segmentIds[row];
  const ends = row % seqLen === seqLen - 1 || segmentIds[row + 1] !== segment;
  if (segment < 0 || !ends) throw new Error(`position ${row} is not the end of a document`);
  let begin = row;
  while (begin % seqLen > 0 && segmentIds[begin - 1] === segment) begin--;
  return tokenizer.decode(inputIds.subarray(begin, row + 1));
}
