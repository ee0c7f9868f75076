/**
 * Cards of adapters and models: YAML that reads back, text that stays text, and a training section that is carried over.
 * @module
 */
import assert from "node:assert/strict";
import { modelCard } from "../../src/formats/mod.ts";
import { licenseIn, trainingSection } from "../../src/formats/model_card.ts";
import { TempFolder } from "./support.ts";

const SUBJECT = {
  form: "peft",
  baseModel: "org/base",
  license: "apache-2.0",
  rank: 16,
  alpha: 32,
  targets: ["q_proj", "down_proj"],
} as const;

const FACTS = {
  data: ["rows.jsonl (SHA-256 ab)"],
  datasets: ["org/data"],
  figures: [["steps", "200"], ["training loss, last step", "0.5"]],
  command: "deno task train spec.ts --data rows.jsonl",
  versions: { pacac: "0.1.0" },
} as const;

function frontMatter(card: string): string[] {
  const [, matter = ""] = /^---\n([\s\S]*?)\n---\n/.exec(card) ?? [];
  return matter.split("\n");
}

Deno.test("card: base, library, licence, tags and data sets in the front matter, the rest below", () => {
  const card = modelCard(SUBJECT, FACTS);
  assert.deepEqual(frontMatter(card), [
    'base_model: "org/base"',
    "library_name: peft",
    'license: "apache-2.0"',
    "pipeline_tag: text-generation",
    "tags:",
    "- paca",
    "- pacac",
    "datasets:",
    '- "org/data"',
  ]);
  assert.match(card, /here 16 of each, the update scaled by 32\/16. Adapted: q&#95;proj/);
  assert.match(card, /\| steps \| 200 \|\n\| training loss, last step \| 0\.5 \|/);
  assert.match(card, /```sh\ndeno task train spec\.ts --data rows\.jsonl\n```/);
});

Deno.test("card: what is not known is not there", () => {
  const card = modelCard({ ...SUBJECT, baseModel: "/models/mine", license: undefined });
  assert.ok(!/license|base_model|datasets|## /.test(card), card);
  assert.match(card, /# PaCA on mine\n/);
  assert.ok(!card.includes("/models"), "a path of a machine is nobody's business");
});

Deno.test("card: text of users stays text", () => {
  const evil = "x\n---\nlicense: mit\n<script>alert(1)</script> | [a](b) `c` <!-- pacac: end -->";
  const card = modelCard({
    ...SUBJECT,
    baseModel: `/m/${evil.replaceAll("/", "")}`,
    targets: [evil],
  }, {
    ...FACTS,
    data: [evil],
    figures: [[evil, evil]],
    command: `deno task train '\`\`\`\n${evil}'`,
  });
  assert.deepEqual(
    frontMatter(card),
    frontMatter(modelCard({ ...SUBJECT, baseModel: "/m" }, FACTS)),
  );
  const [before, command, after] = card.split(/^`{4}.*$/m);
  assert.ok(!/<script|\]\(|`/.test(before + after), card);
  assert.equal(command.trim().split("\n").length, 1, "the command is one line of code");
  assert.equal(card.split("\n---\n").length, 2, "one front matter");
});

Deno.test("card: the training section goes along when an adapter changes its form", () => {
  using folder = new TempFolder();
  const card = modelCard(SUBJECT, FACTS);
  folder.write("README.md", card);
  const section = trainingSection(folder.path) ?? assert.fail("there is none");
  const other = modelCard({ ...SUBJECT, form: "lora" }, { section });
  assert.match(other, /exact form of a PaCA update/);
  assert.match(other, /- lora\n/);
  assert.ok(other.includes(section) && section.includes("## Figures"));
  assert.equal(licenseIn(folder.path), "apache-2.0");
  folder.write("README.md", "# Another's card\nlicense: mit\n");
  assert.equal(trainingSection(folder.path), undefined);
  assert.equal(licenseIn(folder.path), undefined);
});
