/**
 * pacac writing text, one answer at a time on request: the same conversation as decode_time.py has.
 *
 * usage: decode_time.ts SPEC WEIGHTS TOKENS
 * @module
 */
// deno-lint-ignore-file no-console -- its lines are the answers
import process from "node:process";
import { createInterface } from "node:readline";
import { openWriter } from "../../src/cli/answer.ts";
import { loadSpec } from "../../src/spec/load.ts";
import { generate } from "../../src/train/mod.ts";

const [spec, weights, tokens] = Deno.args;
const flags = { target: "cpu", isa: "native", weights, context: 512 } as const;
await using writer = await openWriter(await loadSpec(spec), flags);
const { decoder, tokenizer } = writer;

/** Seconds of the tokens behind the first. */
async function seconds(): Promise<number> {
  decoder.reset();
  const maxTokens = Number(tokens) + 1;
  const text = generate(decoder, { tokenizer, prompt: "A comet is", maxTokens, stop: [] });
  for (;;) {
    const { value, done } = await text.next();
    if (done === true) return value.seconds * Number(tokens) / (value.tokens - 1);
  }
}

const answer = (values: Readonly<Record<string, number>>) => console.log(JSON.stringify(values));
const began = performance.now();
await seconds();
answer({ warmup_seconds: (performance.now() - began) / 1e3 });
for await (const _ of createInterface({ input: process.stdin })) {
  answer({ seconds: await seconds() });
}
answer({ peak_rss_mb: process.resourceUsage().maxRSS / 1e3 });
