/**
 * Pages as text: everything of a run is in them, and nothing of a run is taken for HTML.
 * @module
 */
import { deepEqual, equal, match, ok, throws } from "node:assert/strict";
import { PacacError } from "../../src/errors.ts";
import { comparePage, readRun, runPage } from "../../src/report/page.ts";
import { HOSTILE, RunFolder } from "./fixture.ts";

const escaped = (text: string) =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;").replaceAll("'", "&#39;");

/** Tags of a page by name: those that a template has, and no others. */
function tagsOf(page: string): Map<string, number> {
  const [, body] = page.split("<body>");
  const visible = body.replaceAll(/<script[^>]*>[\s\S]*?<\/script>/g, "<script>");
  const tags = new Map<string, number>();
  for (const [, tag] of visible.matchAll(/<([a-z]\w*)/g)) tags.set(tag, (tags.get(tag) ?? 0) + 1);
  return tags;
}

Deno.test("the page has every part of the report", () => {
  using run = new RunFolder();
  const page = runPage(readRun(run.dir, "a run"));
  const heads = [...page.matchAll(/<h2>([^<]+)</g)].map(([, head]) => head);
  deepEqual(heads, [
    ...["Curves", "Evaluation", "Samples", "Kernels", "Memory plan", "Data", "Settings"],
    ...["Machine and versions", "The same again"],
  ]);
  for (
    const text of [
      ...["best validation", "1.0750", "of peak arithmetic", "10.0 %", "linear_T100", "33.3 %"],
      ...["kept activations", "abababababab", "8.0 GiB", "1.2.3", "2026-01-02 03:04:05 UTC"],
      ...["before", "after step 40", "in the data", "Permission is hereby granted"],
    ]
  ) ok(page.includes(text), text);
});

Deno.test("names, texts and paths are text: no tag, no attribute, no template of theirs", () => {
  using run = new RunFolder();
  using harmless = new RunFolder({
    record: { name: "x", settings: { model: "x", rank: 8 }, command: "x" },
  });
  const tame = Deno.readTextFileSync(harmless.file("metrics.jsonl"))
    .replaceAll(JSON.stringify(HOSTILE.prompt), '"x"')
    .replaceAll(JSON.stringify(HOSTILE.answer), '"x"');
  harmless.metrics(tame.trim().split("\n"));
  const label = HOSTILE.answer;
  const page = runPage(readRun(run.dir, label));
  deepEqual(tagsOf(page), tagsOf(runPage(readRun(harmless.dir, "x"))));
  for (const text of Object.values(HOSTILE)) {
    ok(page.includes(escaped(text)), text);
    ok(!page.includes(text), text);
  }
  const pages = [run, harmless].map(({ dir }, i) => readRun(dir, `${label}${i}`));
  const compared = comparePage(pages);
  ok(compared.includes(escaped(`${label}0`)));
  for (const text of Object.values(HOSTILE)) ok(!compared.includes(text), text);
  const series = /id="series">([\s\S]*?)<\/script>/.exec(compared)?.[1] ?? "";
  ok(!series.includes("<"));
  ok(JSON.parse(series).lines.some((line: { label: string }) => line.label === `${label}0`));
});

Deno.test("nothing of the page is anywhere else, and its policy allows nothing but itself", () => {
  using run = new RunFolder();
  const page = runPage(readRun(run.dir, "a run"));
  const policy = /Content-Security-Policy" content="([^"]+)"/.exec(page)?.[1] ?? "";
  match(policy, /^default-src &#39;none&#39;|^default-src 'none'/);
  equal(policy.match(/sha256-/g)?.length, 2);
  ok(!/<(?:link|img|script|iframe)[^>]+(?:src|href)="(?!data:,)/.test(page));
  ok(!/url\(|@import/.test(page));
});

Deno.test("runs side by side: their results, and what they differ in alone", () => {
  using a = new RunFolder();
  using b = new RunFolder({ steps: 20, record: { settings: { model: "m", rank: 16 } } });
  const page = comparePage([readRun(a.dir, "first"), readRun(b.dir, "second")]);
  const differences = page.slice(page.indexOf("<h2>Differences"));
  const rows = [...differences.matchAll(/scope="row">([^<]+)</g)].map(([, name]) => name);
  deepEqual(rows, ["model", "rank"]);
  match(page, /20 of 40/);
  match(page, /not ended/);
  const same = comparePage([readRun(a.dir, "first"), readRun(a.dir, "again")]);
  match(same, /machine and versions are the same/);
});

Deno.test("a run without a record has its curves; one with a bad record is refused by field", () => {
  using run = new RunFolder();
  const file = run.file("report.json");
  const record = JSON.parse(Deno.readTextFileSync(file));
  Deno.writeTextFileSync(file, JSON.stringify({ ...record, machine: { cores: "two" } }));
  throws(
    () => readRun(run.dir, "a"),
    (error: unknown) =>
      error instanceof PacacError && error.code === "run-invalid" &&
      error.place?.file === file && error.place.field === "machine.processor",
  );
  Deno.removeSync(file);
  const page = runPage(readRun(run.dir, "no record"));
  match(page, /<h1>no record</);
  ok(!page.includes("<h2>Kernels"));
  match(comparePage([readRun(run.dir, "a"), readRun(run.dir, "b")]), /Of a no settings are known/);
});
