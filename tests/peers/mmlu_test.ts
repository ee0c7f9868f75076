/**
 * MMLU of the untrained SmolLM2-135M-Instruct agrees with transformers: the same prompts, tokens and chosen options but for ties.
 * Needs a Python with torch and transformers (PACAC_PEER_PYTHON), the model's folder (PACAC_SMOLLM2) and MMLU's csv folders
 * (data/mmlu below PACAC_SHARED); skipped otherwise. PACAC_PEER_QUESTIONS: how many, 200 where it is not said.
 * @module
 */
import assert from "node:assert/strict";
import { adamw, fineTune, fromPretrained, paca } from "../../src/mod.ts";
import { runGraphPasses } from "../../src/passes/mod.ts";
import { resolve } from "../../src/passes/resolve.ts";
import { mmluTokens } from "../../src/train/evaluate/mmlu.ts";
import { evaluateMmlu, loadMmlu, loadTokenizer, loadTrainer } from "../../src/train/mod.ts";
import { HERE, openPlan, planFor } from "../support/cpu_engine.ts";
import { inRepository } from "../support/paths.ts";

const PYTHON = Deno.env.get("PACAC_PEER_PYTHON");
const WEIGHTS = Deno.env.get("PACAC_SMOLLM2") ?? inRepository("generated/smollm2-weights");
const DATA = `${Deno.env.get("PACAC_SHARED") ?? inRepository("../shared")}/data/mmlu`;
const QUESTIONS = Number(Deno.env.get("PACAC_PEER_QUESTIONS") ?? 200);
const BATCH = 2, SEQ_LEN = 1024;

const there = PYTHON !== undefined && [`${WEIGHTS}/config.json`, `${DATA}/test`].every((path) => {
  try {
    return Deno.statSync(path).isFile || Deno.statSync(path).isDirectory;
  } catch {
    return false;
  }
});

/**
 * Two options are a tie where transformers' logits of them are closer than this: in float32 the sums' order, with bf16 storage
 * the rounding of activations.
 */
const TIE = { f32: 1e-3, bf16: 0.15 } as const;

interface Prompt {
  readonly text: string;
  readonly ids: readonly number[];
}

async function peerLogits(prompts: readonly Prompt[]): Promise<number[][]> {
  const child = new Deno.Command(PYTHON ?? "", {
    args: [inRepository("tests/peers/mmlu.py"), WEIGHTS],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(JSON.stringify(prompts)));
  await writer.close();
  const { success, stdout, stderr } = await child.output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout).trim().split("\n").at(-1) ?? "");
}

Deno.test({
  name: `MMLU agrees with transformers on ${QUESTIONS} questions${
    there ? "" : ` (skipped: needs PACAC_PEER_PYTHON, ${WEIGHTS} and ${DATA})`
  }`,
  ignore: !there,
  async fn(t) {
    const tokenizer = await loadTokenizer(WEIGHTS);
    const items = await loadMmlu(DATA, { shots: 5, limit: QUESTIONS });
    assert.equal(items.length, QUESTIONS);
    const prompts = items.map((item): Prompt => {
      const ids = mmluTokens(item, { tokenizer, seqLen: SEQ_LEN })?.ids ?? Int32Array.of();
      return { text: tokenizer.decode(ids), ids: [...ids] };
    });
    const theirs = await peerLogits(prompts);
    for (const storage of ["f32", "bf16"] as const) {
      await t.step(`${storage} storage`, async () => {
        const spec = fineTune({
          name: "mmlu",
          model: fromPretrained(WEIGHTS),
          adapt: paca({ rank: 1, alpha: 1, targets: ["q_proj"] }),
          train: { batch: BATCH, seqLen: SEQ_LEN, storage, optimizer: adamw({ learningRate: 1 }) },
        });
        const { architecture } = resolve(spec, { path: WEIGHTS });
        const { vocabSize } = architecture;
        const graph = runGraphPasses(spec, architecture);
        const engine = await openPlan(
          planFor(graph, { spec, vocabSize, isa: HERE[0], threads: 2 }),
        );
        await using trainer = await loadTrainer(engine, { weights: WEIGHTS });
        let same = 0, ties = 0, worst = 0, right = 0, rightThere = 0;
        for await (const { item, chosen, logits } of evaluateMmlu(trainer, items, { tokenizer })) {
          const other = theirs[items.indexOf(item)];
          const best = other.indexOf(Math.max(...other));
          worst = Math.max(worst, ...logits.map((value, i) => Math.abs(value - other[i])));
          if (chosen === item.question.answer) right++;
          if (best === item.question.answer) rightThere++;
          if (chosen === best) same++;
          else if (other[best] - other[chosen ?? best] <= TIE[storage]) ties++;
          else assert.fail(`${item.subject}: ${item.question.question}: ${logits} and ${other}`);
        }
        assert.equal(same + ties, QUESTIONS);
        // deno-lint-ignore no-console -- the figures are what the run is for
        console.log(
          `${storage}: ${same} the same, ${ties} ties, logits differ by ${
            worst.toExponential(1)
          } ` +
            `at most; right: ${right} here, ${rightThere} there`,
        );
      });
    }
  },
});
