/**
 * Reports as people get them: with a run, again from its folder, of several; and what a folder must be like.
 * @module
 */
import { equal, match, ok } from "node:assert/strict";
import { type Outcome, runHere } from "./in_process.ts";
import { SmallProject } from "./small_project.ts";

const NAME = "report-test";

Deno.test("a run leaves its report, and reports are made again from folders", async (t) => {
  using project = new SmallProject(NAME);
  const run = (line: string): Promise<Outcome> => runHere(line.split(" "), project.environment);
  const page = (name: string) => Deno.readTextFileSync(project.file(name));
  const begin = "train spec.ts --target reference --init 3 --data data.jsonl --steps 4" +
    " --validation other.jsonl --evaluate-every 2 --samples 1 --threads 1";

  await t.step("train says where the page is, and all of the run is in it", async () => {
    const { code, err } = await run(`${begin} --out first`);
    equal(code, 0, err);
    ok(err.includes(`report ${project.file("first/report.html")}`), err);
    const text = page("first/report.html");
    const heads = ["Curves", "Evaluation", "Samples", "Memory plan", "Data", "Settings"];
    for (const head of heads) ok(text.includes(`<h2>${head}</h2>`), head);
    const loss = /"type":"step","step":4,.*?"loss":([\d.]+)/.exec(page("first/metrics.jsonl"))?.[1];
    ok(text.includes(Number(loss).toPrecision(7).replace(/0+$/, "")), `${loss}`);
    match(text, /data\.jsonl<\/th><td>messages in jsonl<\/td><td>12<\/td>/);
    const [, command = ""] = /<pre class="command">deno task ([^<]+)<\/pre>/.exec(text) ?? [];
    const again = await run(`${command} --out again`);
    equal(again.code, 0, again.err);
    const lossesOf = (name: string) => page(`${name}/metrics.jsonl`).match(/"loss":[^,]+/g);
    equal(`${lossesOf("again")}`, `${lossesOf("first")}`);
  });

  await t.step("events as lines name the page too", async () => {
    const { code, out, err } = await run(`${begin} --seed 9 --json --out second`);
    equal(code, 0, err);
    const last = JSON.parse(out.trim().split("\n").at(-1) ?? "");
    equal(
      JSON.stringify(last),
      JSON.stringify({ type: "report", file: project.file("second/report.html") }),
    );
  });

  await t.step("a run that goes on has the steps of both parts", async () => {
    const { code, err } = await run(`train --resume first --steps 6`);
    equal(code, 0, err);
    match(page("first/report.html"), /<dt>steps<\/dt><dd>6<\/dd>/);
  });

  await t.step("a run that was killed before its page gets it where it goes on", async () => {
    const before = page("first/report.html");
    Deno.removeSync(project.file("first/report.html"));
    const { code, err } = await run("train --resume first");
    equal(code, 0, err);
    ok(err.includes(`report ${project.file("first/report.html")}`), err);
    equal(page("first/report.html"), before);
  });

  await t.step("a run that fails has its report up to there", async () => {
    const { code, err } = await run(`${begin} --learning-rate 1e300 --out diverged`);
    equal(code, 1, err);
    match(err, /error\[adapter-invalid\]: .* not a finite number/);
    match(err, /report \S+diverged\/report\.html/);
    match(page("diverged/report.html"), /diverged, done/);
  });

  await t.step("a page that cannot be written is told, and costs the run nothing", async () => {
    Deno.mkdirSync(project.file("hindered/report.json"), { recursive: true });
    const { code, err } = await run(`${begin} --out hindered`);
    equal(code, 0, err);
    match(err, /warning: the run goes on without its report: error\[io\]: \S+report\.json/);
    ok(Deno.statSync(project.file("hindered/adapter")).isDirectory);
  });

  await t.step("report RUN writes the page again, where --out says", async () => {
    const before = page("first/report.html");
    Deno.removeSync(project.file("first/report.html"));
    const { code, out, err } = await run("report first");
    equal(code, 0, err);
    equal(out, project.file("first/report.html"));
    equal(page("first/report.html"), before);
    equal((await run("report first --out elsewhere.html")).code, 0);
    equal(page("elsewhere.html"), before);
  });

  await t.step("report A B puts runs side by side", async () => {
    const { code, out, err } = await run("report first second first");
    equal(code, 0, err);
    equal(out, project.file("comparison.html"));
    const text = page("comparison.html");
    match(text, /seed of the data<\/th><td class="words">0<\/td><td class="words">9<\/td>/);
    match(text, /<\/span>first<\/th>[\s\S]*<\/span>second<\/th>/);
  });

  const faults: readonly [string, number, RegExp][] = [
    ["report", 2, /error\[usage\]: Missing required argument/],
    [
      "report spec.ts",
      1,
      /error\[io\]: \S+spec\.ts: Cannot report on the run: there is no such folder/,
    ],
    ["report nowhere", 1, /error\[io\]: \S+nowhere: .*no such folder/],
    ["report model", 1, /error\[io\]: \S+model: .*no metrics\.jsonl/],
    ["report first model", 1, /error\[io\]: \S+model: .*no metrics\.jsonl/],
    ["report first --out model", 1, /error\[io\]: \S+model/],
  ];
  for (const [line, exit, says] of faults) {
    await t.step(`${line} is told`, async () => {
      const { code, err } = await run(line);
      equal(code, exit, err);
      match(err, says);
    });
  }

  await t.step("a record that was changed is named by field", async () => {
    const file = project.file("second/report.json");
    const record = JSON.parse(Deno.readTextFileSync(file));
    record.plan.arenaBytes = -1;
    Deno.writeTextFileSync(file, JSON.stringify(record));
    const { code, err } = await run("report second");
    equal(code, 1);
    match(err, /error\[run-invalid\]: \S+report\.json \(plan\.arenaBytes\)/);
  });
});
