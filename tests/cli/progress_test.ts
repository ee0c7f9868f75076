/**
 * The line that is rewritten while a run goes on: what it says, what fits, and that it is for terminals alone.
 * @module
 */
import { equal, match, ok } from "node:assert/strict";
import { liveLine, sparkline } from "../../src/cli/progress.ts";
import type { StepEvent } from "../../src/train/events.ts";
import { inRepository } from "../support/paths.ts";
import { SmallProject } from "./small_project.ts";

const STEP: StepEvent = {
  type: "step",
  ...{ step: 7, steps: 400, loss: 2.25, gradNorm: 0.5, learningRate: 1e-3 },
  ...{ tokens: 900, supervised: 800, tokensPerSecond: 12345, seconds: 0.1, residentBytes: 372.4e6 },
};

Deno.test("the live line has the loss's curve, speed, share of peak, time left and memory", () => {
  const state = { losses: [4, 3, 2], left: 200, share: 0.496, columns: 0 };
  equal(
    liveLine(STEP, state),
    "step   7/400  loss 2.2500 █▅▁  12,345 tokens/s  3 min 20 s left  50 % of peak  372.4 MB" +
      "  norm 0.500  lr 1.00e-3",
  );
  match(liveLine({ ...STEP, step: 400 }, state), /tokens\/s {2}done {2}50 % of peak/);
  ok(!liveLine(STEP, { ...state, share: undefined }).includes("peak"));
});

Deno.test("what finds no room is left out whole, and the last column stays free", () => {
  const state = { losses: Array.from({ length: 99 }, (_, i) => -i), left: 200, share: 0.5 };
  for (let columns = 20; columns < 150; columns++) {
    const line = liveLine(STEP, { ...state, columns });
    const whole = liveLine(STEP, { ...state, columns: columns < 100 ? 99 : 1000 });
    ok(line.length < columns, `${columns}: ${line}`);
    ok(whole === line || whole.startsWith(`${line}  `), `${columns}: ${line}`);
  }
  match(liveLine(STEP, { ...state, columns: 80 }), /3 min 20 s left$/);
});

Deno.test("a curve of characters: from the least to the greatest, means of many", () => {
  equal(sparkline([], 8), "");
  equal(sparkline([5, 5], 8), "▁▁");
  equal(sparkline([0, 1, 2, 3, 4, 5, 6, 7], 8), "▁▂▃▄▅▆▇█");
  equal(sparkline([1, 3, 2, 2, 9, NaN, 9], 3), "▁▁█");
});

const HAS_TERMINAL = (() => {
  try {
    return new Deno.Command("script", { args: ["--version"], stdout: "null" }).outputSync().success;
  } catch {
    return false;
  }
})();

Deno.test({
  name: "a run on a terminal rewrites its line; with --json, or elsewhere, none is" +
    (HAS_TERMINAL ? "" : " (skipped: needs script of util-linux)"),
  ignore: !HAS_TERMINAL,
  fn: async () => {
    using project = new SmallProject("progress-test");
    const train = `${Deno.execPath()} run -A ${inRepository("src/cli/main.ts")} train spec.ts ` +
      "--target reference --init 3 --data data.jsonl --steps 30 --restart --out run";
    const said = async (command: string, args: readonly string[]) => {
      const { code, stdout, stderr } = await new Deno.Command(command, {
        args: [...args],
        env: { ...project.environment, NO_COLOR: "1", TERM: "xterm" },
        stdin: "null",
      }).output();
      const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
      equal(code, 0, out + err);
      return out + err;
    };
    const onTerminal = (line: string) =>
      said("script", ["-qec", `stty columns 150; ${line}`, "/dev/null"]);
    const live = await onTerminal(train);
    ok(live.includes("\r\x1b[2Kstep "), live);
    match(live, /step +\d+\/30 {2}loss \d\.\d{4} [▁-█]+ {2}[\d,]+ tokens\/s/u);
    match(live, /step 30\/30 [^\n]* done {2}[\d.]+ MB[^\n]*\r?\n/);
    ok(!(await onTerminal(`${train} --json`)).includes("loss 4"));
    const [shell, ...args] = ["sh", "-c", train];
    const plain = await said(shell, args);
    ok(!plain.includes("\x1b"), plain);
    match(plain, /step 30\/30 {2}loss/);
  },
});
