/**
 * Renders pages: one file each, that needs no network and lets nothing run but its own two scripts.
 *
 * Names, texts and paths on a page are whatever data files and models say, so nunjucks escapes all of it; data for the script is JSON
 * without any `<`; and the page's policy names the scripts by their hashes, so that what got in by a fault of ours would not run.
 * @module
 */
import { createHash } from "node:crypto";
import nunjucks from "nunjucks";
import { invariant } from "../errors.ts";
import { withFile } from "../formats/files.ts";
import type { PageSeries } from "./series.ts";

const folderOf = (relative: string) =>
  decodeURIComponent(new URL(relative, import.meta.url).pathname);

const TEMPLATES = folderOf("../../templates/report");
const UPLOT = folderOf("../../node_modules/uplot/dist");

const environment = new nunjucks.Environment(new nunjucks.FileSystemLoader(TEMPLATES), {
  autoescape: true,
  throwOnUndefined: true,
  trimBlocks: true,
  lstripBlocks: true,
});

/** Texts that go into the page as they are: ours, and uPlot's with its licence, which wants to be in every copy. */
interface Inline {
  readonly styles: string;
  readonly library: string;
  readonly script: string;
  readonly policy: string;
}

let inlined: Inline | undefined;

function inline(): Inline {
  if (inlined !== undefined) return inlined;
  const read = (file: string) => withFile(file, () => Deno.readTextFileSync(file));
  const styles = [`${UPLOT}/uPlot.min.css`, `${TEMPLATES}/page.css`].map(read).join("\n");
  const license = read(`${UPLOT}/../LICENSE`);
  const library = `/*\n${license}\n*/\n${read(`${UPLOT}/uPlot.iife.min.js`)}`;
  const script = read(`${TEMPLATES}/charts.js`);
  invariant(![styles, library, script].some((text) => /<\/(?:script|style)/i.test(text)), "a tag");
  const hashes = [library, script].map((text) =>
    `'sha256-${createHash("sha256").update(text).digest("base64")}'`
  );
  const policy = [
    "default-src 'none'",
    "img-src data:",
    "style-src 'unsafe-inline'",
    `script-src ${hashes.join(" ")}`,
  ].join("; ");
  inlined = { styles, library, script, policy };
  return inlined;
}

/**
 * The text of a page.
 * @param template `run.html.njk` or `compare.html.njk`
 * @param view What it shows, as plain data
 * @param series What its script draws
 */
export function renderPage(
  template: "run.html.njk" | "compare.html.njk",
  view: Readonly<Record<string, unknown>>,
  series: PageSeries,
): string {
  const json = JSON.stringify({ axes: series.axes, lines: series.lines });
  const { charts, perPoint } = series;
  return environment.render(template, {
    ...view,
    ...inline(),
    charts,
    perPoint,
    series: json.replaceAll("<", "\\u003c"),
  });
}
