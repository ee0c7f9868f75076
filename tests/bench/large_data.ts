/**
 * Loading data that is larger than one would have in memory: makes a JSONL file, loads it, prints rate and peak memory.
 *
 *     deno run -A tests/bench/large_data.ts [MEGABYTES]
 * @module
 */
// deno-lint-ignore-file no-console -- a program that reports
import { join } from "node:path";
import { loadData } from "../../src/train/data/load.ts";
import { loadTokenizer } from "../../src/train/tokenizer.ts";
import { inRepository } from "../support/paths.ts";

const [megabytes = "1000"] = Deno.args;
const size = Number(megabytes) * 1e6;
const folder = Deno.makeTempDirSync({ prefix: "pacac_large_" });

/** Rows of a few lengths whose words are those of the embedded text. */
function writeRows(path: string): number {
  const words = Deno.readTextFileSync(inRepository("models/tiny/text.txt")).split(/\s+/);
  using file = Deno.openSync(path, { write: true, createNew: true });
  const encoder = new TextEncoder();
  let written = 0, rows = 0;
  while (written < size) {
    const lines: string[] = [];
    for (let i = 0; i < 1000; i++, rows++) {
      const at = (rows * 7919) % (words.length - 700);
      const text = words.slice(at, at + 40 + (rows * 31) % 600).join(" ");
      lines.push(JSON.stringify({ prompt: `Row ${rows}: `, completion: text }));
    }
    const bytes = encoder.encode(`${lines.join("\n")}\n`);
    for (let done = 0; done < bytes.length;) done += file.writeSync(bytes.subarray(done));
    written += bytes.length;
  }
  return written;
}

/** The most memory that the process ever had, in bytes. */
function peakBytes(): number {
  const status = Deno.readTextFileSync("/proc/self/status");
  return 1024 * Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? Number.NaN);
}

try {
  const path = join(folder, "rows.jsonl");
  const bytes = writeRows(path);
  const tokenizer = await loadTokenizer(inRepository("models/tiny"));
  const before = peakBytes();
  const began = performance.now();
  let told = began;
  const options = {
    tokenizer,
    seqLen: 512,
    cache: join(folder, "cache"),
    onProgress({ stage, bytes: done }: { readonly stage: string; readonly bytes: number }): void {
      if (performance.now() - told < 20_000) return;
      told = performance.now();
      console.error(
        `${stage}: ${(done / 1e6).toFixed(0)} MB, peak ${(peakBytes() / 1e6).toFixed(0)} MB`,
      );
    },
  };
  const first = await loadData(path, options);
  const seconds = (performance.now() - began) / 1000;
  const again = performance.now();
  const second = await loadData(path, options);
  const reopened = (performance.now() - again) / 1000;
  const { documents, tokens } = first.train.stats;
  console.log(
    `${(bytes / 1e6).toFixed(0)} MB of JSONL, ${documents} rows, ${tokens} tokens: ` +
      `${seconds.toFixed(0)} s (${(bytes / 1e6 / seconds).toFixed(1)} MB/s), ` +
      `from the cache ${reopened.toFixed(1)} s (${
        second.cached ? "cached" : "NOT cached"
      }); peak RSS ` +
      `${(peakBytes() / 1e6).toFixed(0)} MB, ${(before / 1e6).toFixed(0)} MB before`,
  );
} finally {
  Deno.removeSync(folder, { recursive: true });
}
