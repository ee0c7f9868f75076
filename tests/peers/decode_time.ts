/**
 * pacac writing text, one answer at a time on request: the same conversation as decode_time.py has.
 *
 * usage: decode_time.ts SPEC WEIGHTS TOKENS THREADS PROMPT. An answer's seconds are those of the tokens behind the first, whose time is
 * the prompt's: everything between two tokens is in them, sampling and the text's pieces too.
 * @module
 */
// deno-lint-ignore-file no-console -- its lines are the answers
import process from "node:process";
import { createInterface } from "node:readline";
import { openDecoder, tokenizerFolder } from "../../src/cli/program.ts";
import { loadSpec } from "../../src/spec/load.ts";
import { generate, loadTokenizer } from "../../src/train/mod.ts";
import { inRepository } from "../support/paths.ts";

const [spec, weights, tokenText, threadText, prompt] = Deno.args;
const tokens = Number(tokenText), threads = Number(threadText);
const out = inRepository(`generated/peers-decode-${threads}`);
const flags = { target: "cpu", isa: "native", weights, threads, out } as const;
const decode = { context: 512 };
await using decoder = await openDecoder(await loadSpec(spec), { ...flags, decode }, { weights });
const tokenizer = await loadTokenizer(await tokenizerFolder(decoder));

async function answer(): Promise<{ seconds: number; text: string }> {
  decoder.reset();
  const pieces = generate(decoder, { tokenizer, prompt, maxTokens: tokens + 1, stop: [] });
  for (let text = "";;) {
    const { value, done } = await pieces.next();
    if (done === true) return { seconds: value.seconds * tokens / (value.tokens - 1), text };
    text += value;
  }
}

const say = (values: Readonly<Record<string, number | string>>) =>
  console.log(JSON.stringify(values));
const began = performance.now();
await answer();
say({ warmup_seconds: (performance.now() - began) / 1e3 });
for await (const _ of createInterface({ input: process.stdin })) say({ ...await answer() });
say({ peak_rss_mb: process.resourceUsage().maxRSS / 1e3 });
