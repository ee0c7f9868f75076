/**
 * The commands end to end, on the reference target: no compiler is needed, and a small model is quick enough.
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openSafetensors, readFloat32 } from "../../src/formats/safetensors.ts";
import { isasOf } from "../../src/targets/cpu/isas.ts";
import { runCommand } from "../errors/case.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const NAME = "cli-test";

/** A llama of one block over the embedded model's tokenizer. */
function specText(adapt: string): string {
  return `import * as p from "@pacac/pacac";
const model = p.llama({
  hiddenSize: 16, intermediateSize: 24, layers: 1, heads: 2, kvHeads: 1, headDim: 8,
  vocabSize: 768, rmsNormEps: 1e-5, ropeTheta: 10000, ropeScaling: { type: "default" },
  tieWordEmbeddings: true, attentionBias: false, outputBias: false, mlpBias: false,
});
export default p.fineTune({
  name: "${NAME}", model, folder: "model", adapt: ${adapt},
  train: { batch: 2, seqLen: 32, optimizer: p.adamw({ learningRate: 1e-2 }) },
});
`;
}

const PACA = 'p.paca({ rank: 4, alpha: 8, targets: ["q_proj", "down_proj"] })';

async function fixture(): Promise<string> {
  const dir = await Deno.makeTempDir({ prefix: "pacac_cli_" });
  await Deno.mkdir(join(dir, "model"));
  for (const file of ["tokenizer.json", "tokenizer_config.json"]) {
    await Deno.copyFile(join(ROOT, "models/tiny", file), join(dir, "model", file));
  }
  await Deno.writeTextFile(join(dir, "full.ts"), specText("p.full()"));
  await Deno.writeTextFile(join(dir, "paca.ts"), specText(PACA));
  const rows = Array.from({ length: 12 }, (_, i) =>
    JSON.stringify({
      messages: [
        { role: "user", content: `What is ${i}?` },
        { role: "assistant", content: `It is ${i * i}.` },
      ],
    }));
  await Deno.writeTextFile(join(dir, "data.jsonl"), rows.join("\n"));
  return dir;
}

async function ok(dir: string, line: string): Promise<{ stdout: string; stderr: string }> {
  const result = await runCommand(line.split(" "), { dir });
  assert.equal(result.exit, "0", `${line}\n${result.stderr}`);
  return result;
}

/** Starts a command and gives its first lines of standard output to `act`. */
async function interrupted(
  dir: string,
  line: string,
): Promise<{ code: number; stderr: string; lines: string[] }> {
  const permissions = ["read", "write", "run", "env", "sys", "ffi"].map((name) =>
    `--allow-${name}`
  );
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", ...permissions, `${ROOT}src/cli/main.ts`, ...line.split(" ")],
    cwd: ROOT,
    env: { NO_COLOR: "1", INIT_CWD: dir, PACAC_CACHE: join(dir, "cache") },
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const stderr = new Response(child.stderr).text();
  let text = "";
  for await (const piece of child.stdout.pipeThrough(new TextDecoderStream())) {
    const before = text.includes('"type":"step"');
    text += piece;
    if (before || !text.includes('"type":"step"')) continue;
    // One key press under `deno task` is two signals.
    child.kill("SIGINT");
    child.kill("SIGINT");
  }
  const { code } = await child.status;
  return { code, stderr: await stderr, lines: text.trim().split("\n") };
}

/** Runs a command on lines of standard input. */
async function talk(
  dir: string,
  line: string,
  input: readonly string[],
): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", `${ROOT}src/cli/main.ts`, ...line.split(" ")],
    cwd: ROOT,
    env: { NO_COLOR: "1", INIT_CWD: dir, PACAC_CACHE: join(dir, "cache") },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(`${input.join("\n")}\n`));
  await writer.close();
  const { code, stdout, stderr } = await child.output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { code, stdout: out, stderr: err };
}

function deltasOf(dir: string): Map<string, Float32Array> {
  const { tensors } = openSafetensors(join(dir, "adapter", "adapter_model.safetensors"));
  return new Map(
    [...tensors].filter(([name]) => name.endsWith("paca_delta"))
      .map(([name, tensor]) => [name, readFloat32(tensor)]),
  );
}

Deno.test("inspect, compile, train, Ctrl-C, resume, generate", async (t) => {
  const dir = await fixture();
  const generated = [`${NAME}-reference`, `${NAME}-reference-decode`];
  try {
    await t.step("inspect --json prints the plan's figures", async () => {
      const { stdout } = await ok(dir, "inspect paca.ts --target reference --json");
      const summary = JSON.parse(stdout) as { name: string; trained: number };
      assert.equal(summary.name, NAME);
      assert.equal(summary.trained, 4 * (16 + 16), "q_proj has 16 outputs, down_proj 16");
    });

    await t.step(
      "inspect sees the processor's instruction sets, with a task's permissions",
      async () => {
        const { stdout } = await ok(dir, "inspect paca.ts --json");
        const info = await Deno.readTextFile("/proc/cpuinfo").catch(() => "");
        assert.equal((JSON.parse(stdout) as { isa: string }).isa, isasOf(info)[0]);
      },
    );

    await t.step("compile --json says where the program is", async () => {
      const { stdout } = await ok(dir, "compile full.ts --target reference --out base --json");
      assert.equal((JSON.parse(stdout) as { dir: string }).dir, "DIR/base");
      assert.ok((await Deno.stat(join(dir, "base", "trainer.ts"))).isFile);
    });

    await t.step("train with --init makes a model from nothing", async () => {
      const { stderr } = await ok(
        dir,
        "train base --init 1 --data data.jsonl --steps 2 --out made",
      );
      assert.match(stderr, /12 documents \(messages\)/);
      assert.match(stderr, /tokens are trained on \(\d+\.\d %\)/);
      assert.ok((await Deno.stat(join(dir, "made/model/model.safetensors"))).size > 768 * 16 * 4);
    });

    const train = "train tuned --weights made/model --data data.jsonl --steps 5";
    await t.step("train --json prints events as lines, and saves an adapter", async () => {
      await ok(dir, "compile paca.ts --target reference --out tuned");
      const { stdout } = await ok(dir, `${train} --out run --json --samples 1 --log tensorboard`);
      const events = stdout.trim().split("\n").map((line) => JSON.parse(line) as { type: string });
      assert.deepEqual(
        events.map(({ type }) => type),
        ["start", "sample", "step", "step", "step", "step", "step", "saved", "done"]
          .concat("adapter", "sample", "report"),
      );
      const { prompt, expected } = events[1] as unknown as { prompt: string; expected: string };
      assert.match(`${prompt}|${expected}`, /What is \d+\?.*\|.*It is \d+\./s);
      const [file] = [...Deno.readDirSync(join(dir, "run/tensorboard"))];
      assert.ok((await Deno.stat(join(dir, "run/tensorboard", file.name))).size > 500);
      assert.equal(deltasOf(join(dir, "run")).size, 2);
    });

    await t.step("a description that is trained is also compiled to answer samples", async () => {
      const { stdout, stderr } = await ok(
        dir,
        "train paca.ts --target reference --weights made/model --data data.jsonl --steps 2 " +
          "--out sampled --json --samples 2",
      );
      const events = stdout.trim().split("\n").map((line) => JSON.parse(line));
      const samples = events.filter(({ type }) => type === "sample");
      assert.deepEqual(
        samples.map(({ step, sample }) => [step, sample]),
        [[0, 0], [0, 1], [2, 0], [2, 1]],
      );
      assert.equal(samples[0].prompt, samples[2].prompt);
      assert.equal(stderr.match(/compiled \S+-decode/g)?.length, 2);
    });

    await t.step("Ctrl-C saves and says how to go on; the end is the same", async () => {
      const { code, stderr, lines } = await interrupted(dir, `${train}00 --out stopped --json`);
      assert.equal(code, 130, stderr);
      const types = lines.map((line) => (JSON.parse(line) as { type: string }).type);
      assert.deepEqual(types.slice(-4), ["saved", "interrupted", "adapter", "report"]);
      assert.match(Deno.readTextFileSync(join(dir, "stopped/report.html")), /stopped, interrupted/);
      const command = stderr.match(/^ {2}deno task (train .*)$/m)?.[1] ?? "";
      assert.match(command, /^train --resume \S+\/stopped$/);

      const step = types.filter((type) => type === "step").length;
      const more = `--steps ${step + 2}`;
      await ok(dir, `${command} ${more}`);
      await ok(dir, `${train}00 --out whole`.replace("--steps 500", more));
      const whole = deltasOf(join(dir, "whole"));
      for (const [name, resumed] of deltasOf(join(dir, "stopped"))) {
        const expected = whole.get(name) ?? new Float32Array();
        const error = resumed.reduce((sum, value, i) => sum + (value - expected[i]) ** 2, 0);
        const size = expected.reduce((sum, value) => sum + value ** 2, 0);
        // The reference computes in float64 and checkpoints are float32; native targets meet bit for bit.
        assert.ok(size > 0 && error <= 1e-10 * size, `${name}: ${error} of ${size}`);
      }
    });

    await t.step("generate answers on standard output alone", async () => {
      const { stdout } = await ok(
        dir,
        "generate paca.ts --target reference --weights made/model --adapter run/adapter " +
          "--prompt Hello --max-tokens 4",
      );
      assert.ok(stdout.length > 1 && stdout.endsWith("\n"));
    });

    await t.step(
      "chat answers lines from a pipe, switches the adapter, saves, and outlives mistakes",
      async () => {
        const lines = [
          "Hello",
          "/adapter off",
          "Hello",
          "/adaptor",
          "/adapter",
          "/save talk.jsonl",
        ];
        const { code, stdout, stderr } = await talk(
          dir,
          "chat paca.ts --target reference --weights made/model --adapter run/adapter --max-tokens 4",
          [...lines, "/reset", "/quit", "never read"],
        );
        assert.equal(code, 0, stderr);
        assert.match(stderr, /the adapter is off/);
        assert.match(stderr, /Cannot do "\/adaptor": no such command/);
        assert.match(stderr, /neither on nor off/);
        const saved = await Deno.readTextFile(join(dir, "talk.jsonl"));
        const { messages } = JSON.parse(saved) as { messages: { role: string; content: string }[] };
        assert.deepEqual(messages.map(({ role }) => role), [
          "user",
          "assistant",
          "user",
          "assistant",
        ]);
        const [, first, , second] = messages.map(({ content }) => content);
        assert.equal(stdout, `${first}\n${second}\n`);
      },
    );

    await t.step("bench measures steps", async () => {
      const { stdout } = await ok(dir, "bench tuned --steps 2 --json");
      const measured = JSON.parse(stdout) as { tokensPerSecond: number; steps: number };
      assert.ok(measured.tokensPerSecond > 0);
      assert.equal(measured.steps, 2);
      const refused = await runCommand(["bench", "tuned", "--no-tuned"], { dir });
      assert.equal(refused.exit, "2");
      assert.match(
        refused.stderr,
        /\(--no-tuned\): Cannot choose tuned values: .* compiled already/,
      );
    });
  } finally {
    await Deno.remove(dir, { recursive: true });
    for (const name of generated) {
      await Deno.remove(join(ROOT, "generated", name), { recursive: true }).catch(() => {});
    }
  }
});
