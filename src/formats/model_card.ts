/**
 * README.md of a saved adapter or model: what it is, what it was made of and how, as the hub's pages show it.
 *
 * Names that users chose go into YAML as JSON strings, which YAML reads, and into Markdown escaped.
 * @module
 */
import { fileSize, join, withFile } from "./files.ts";
import { hubId } from "./hub_cache.ts";

/** What a card can say beside what the folder itself shows. */
export interface CardFacts {
  /** A line for each source of training data. */
  readonly data?: readonly string[];
  /** Hub ids of data sets. */
  readonly datasets?: readonly string[];
  /** Names and values. */
  readonly figures?: readonly (readonly [string, string])[];
  /** What was typed. */
  readonly command?: string;
  /** By name. */
  readonly versions?: Readonly<Record<string, string>>;
  /** A section that another card had, as {@linkcode trainingSection} gives it; stands for all of the above. */
  readonly section?: string;
}

/** What the folder is. */
export interface CardSubject {
  /** "adapter" of a form, or the merged model. */
  readonly form: "peft" | "paca" | "lora" | "merged";
  /** Hub id or folder of the base model; "" where it is not known. */
  readonly baseModel: string;
  /** The base's licence, where it is known: the card's then. */
  readonly license?: string | undefined;
  readonly rank: number;
  readonly alpha: number;
  /** Names of the adapted layers. */
  readonly targets: readonly string[];
}

const FORMS: Readonly<Record<CardSubject["form"], string>> = {
  peft: "an adapter for Hugging Face peft (PaCA)",
  paca: "an adapter in the form of the PaCA paper's code",
  lora: "a LoRA adapter, the exact form of a PaCA update",
  merged: "a whole model, the update merged into its weights",
};

/** Around what a card says of the training. */
const [BEGIN, END] = ["<!-- pacac: training -->", "<!-- pacac: end -->"];
const MAX_CARD_BYTES = 1 << 20;

/**
 * The text of a card.
 * @param subject What the folder is
 * @param facts How it was made, as far as is known
 */
export function modelCard(subject: CardSubject, facts: CardFacts = {}): string {
  const { form, baseModel, rank, alpha, targets } = subject;
  const base = baseName(baseModel);
  const on = base === "" ? "" : ` on ${escaped(base)}`;
  return [
    frontMatter(subject, facts),
    `# PaCA${on}\n`,
    `This is ${
      FORMS[form]
    }. PaCA (Partial Connection Adaptation, ICLR 2025) trains some columns of ` +
    `a weight: here ${rank} of each, the update scaled by ${alpha}/${rank}. Adapted: ` +
    `${targets.map(escaped).join(", ")}.\n`,
    `${BEGIN}\n${facts.section ?? sectionOf(facts)}\n${END}\n`,
  ].join("\n");
}

/**
 * What a card says of the training, to be carried over when an adapter changes its form; nothing where it is not one of ours.
 * @param folder The adapter's folder
 */
export function trainingSection(folder: string): string | undefined {
  const text = cardText(folder);
  const begin = text.indexOf(BEGIN), end = text.lastIndexOf(END);
  return begin < 0 || end < begin ? undefined : text.slice(begin + BEGIN.length, end).trim();
}

/**
 * The licence in the card of a model's folder; nothing where none is said.
 * @param folder The folder
 */
export function licenseIn(folder: string): string | undefined {
  const [, matter = ""] = /^---\r?\n([\s\S]*?)\r?\n---/.exec(cardText(folder)) ?? [];
  return /^license:\s*["']?([A-Za-z0-9][\w.-]{0,63})["']?\s*$/m.exec(matter)?.[1];
}

function cardText(folder: string): string {
  const file = join(folder, "README.md");
  const size = fileSize(file);
  if (size === undefined || size > MAX_CARD_BYTES) return "";
  return withFile(file, () => Deno.readTextFileSync(file));
}

function frontMatter(subject: CardSubject, { datasets = [] }: CardFacts): string {
  const { form, baseModel, license } = subject;
  const lines = [
    // A folder of this machine is no name that a page could link to.
    ...hubId(baseModel) === undefined ? [] : [`base_model: ${JSON.stringify(baseModel)}`],
    `library_name: ${form === "merged" ? "transformers" : "peft"}`,
    ...license === undefined ? [] : [`license: ${JSON.stringify(license)}`],
    "pipeline_tag: text-generation",
    "tags:",
    ...["paca", "pacac", ...form === "lora" ? ["lora"] : []].map((tag) => `- ${tag}`),
    ...datasets.length === 0
      ? []
      : ["datasets:", ...datasets.map((id) => `- ${JSON.stringify(id)}`)],
  ];
  return `---\n${lines.join("\n")}\n---\n`;
}

function sectionOf({ data = [], figures = [], command, versions = {} }: CardFacts): string {
  const parts: string[] = [];
  if (data.length > 0) {
    parts.push(`## Training data\n\n${data.map((line) => `- ${escaped(line)}`).join("\n")}`);
  }
  if (figures.length > 0) {
    const rows = figures.map(([name, value]) => `| ${escaped(name)} | ${escaped(value)} |`);
    parts.push(`## Figures\n\n| | |\n| --- | --- |\n${rows.join("\n")}`);
  }
  if (command !== undefined) parts.push(`## Command\n\n${fenced(command)}`);
  const made = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  if (made.length > 0) parts.push(`Made with ${escaped(made.join(", "))}.`);
  return parts.join("\n\n");
}

/** The last part of a path; a hub id as it is. */
function baseName(source: string): string {
  if (hubId(source) !== undefined) return source;
  return source.split("/").filter((part) => part !== "").at(-1) ?? "";
}

/** A text that Markdown and HTML take as text, on one line. */
function escaped(text: string): string {
  return oneLine(text).replace(/^[-+]|[\\`*_[\]#|~<>&]/g, (mark) => `&#${mark.charCodeAt(0)};`);
}

function fenced(text: string): string {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(([ticks]) => ticks.length));
  const fence = "`".repeat(longest + 1);
  return `${fence}sh\n${oneLine(text)}\n${fence}`;
}

function oneLine(text: string): string {
  // deno-lint-ignore no-control-regex -- they would end the line, or reach a terminal
  return text.replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029]+/g, " ").trim();
}
