/**
 * Pages in a real browser: they draw, complain about nothing, ask nobody for anything, and fit screens and paper.
 * @module
 */
import { deepEqual, equal, ok } from "node:assert/strict";
import { pathToFileURL } from "node:url";
import { comparePage, readRun, runPage } from "../../src/report/page.ts";
import { BrowserPage, findBrowser, type View } from "../support/browser.ts";
import { RunFolder } from "./fixture.ts";

const BROWSER = findBrowser();

/** A canvas that nothing was drawn on has one colour. */
const DRAWN = `[...document.querySelectorAll(".chart canvas")].map((canvas) => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return new Set(new Uint32Array(data.buffer)).size;
})`;

const VIEWS: Readonly<Record<string, View>> = {
  "a wide screen": { width: 1280, height: 900 },
  "a dark screen": { width: 1280, height: 900, dark: true },
  "a phone": { width: 390, height: 844 },
  paper: { width: 718, height: 1000, print: true },
};

Deno.test({
  name: `pages in a browser${BROWSER === undefined ? " (skipped: no chromium is installed)" : ""}`,
  ignore: BROWSER === undefined,
  fn: async (t) => {
    using run = new RunFolder();
    using other = new RunFolder({ steps: 30, loss: (step) => 4 / step });
    const pages = {
      run: runPage(readRun(run.dir, "a run")),
      comparison: comparePage([readRun(run.dir, "one"), readRun(other.dir, "another")]),
    };
    await using page = await BrowserPage.open(BROWSER ?? "");
    for (const [name, text] of Object.entries(pages)) {
      const file = run.file(`${name}.html`);
      Deno.writeTextFileSync(file, text);
      for (const [where, view] of Object.entries(VIEWS)) {
        await t.step(`${name} on ${where}`, async () => {
          page.requests.length = 0;
          await page.show(file, view);
          deepEqual(page.problems, []);
          deepEqual(page.requests, [pathToFileURL(file).href]);
          const charts = await page.ask(`document.querySelectorAll(".chart").length`);
          const drawn = await page.ask(DRAWN);
          ok(Array.isArray(drawn) && drawn.length === charts && drawn.length >= 5, `${drawn}`);
          ok(drawn.every((colours) => colours > 8), `${drawn}`);
          ok(Number(await page.ask("document.documentElement.scrollWidth")) <= view.width);
          equal(await page.ask("window.hit"), undefined, "a text of the run's became a script");
        });
      }
    }
    await t.step("by time instead of steps", async () => {
      const inputs = `document.querySelectorAll("input[name=axis]")`;
      await page.show(run.file("run.html"), VIEWS["a wide screen"]);
      await page.ask(`${inputs}[1].click()`);
      await page.settle();
      const legend = await page.ask(`document.querySelector(".u-legend").textContent`);
      ok(String(legend).includes("time20 s"), `${legend}`);
      deepEqual(page.problems, []);
    });
    await t.step("colours follow the screen while the page is open", async () => {
      const paper = `getComputedStyle(document.body).backgroundColor`;
      const pixels = `document.querySelector(".chart canvas").toDataURL()`;
      await page.view(VIEWS["a wide screen"]);
      const light = [await page.ask(paper), await page.ask(pixels)];
      await page.view(VIEWS["a dark screen"]);
      const dark = [await page.ask(paper), await page.ask(pixels)];
      light.forEach((value, i) => ok(value !== dark[i], `${i}`));
    });
    await t.step("it is printed with ink on white, and cut into sheets", async () => {
      await page.show(run.file("run.html"), VIEWS["a dark screen"]);
      const pdf = new TextDecoder("latin1").decode(await page.printed());
      ok(pdf.startsWith("%PDF"));
      const sheets = pdf.match(/\/Type\s*\/Page\b/g)?.length ?? 0;
      ok(sheets >= 2 && sheets <= 12, `${sheets} sheets`);
      const ink = `dispatchEvent(new Event("beforeprint"));` +
        `const paper = getComputedStyle(document.body).backgroundColor;` +
        `const open = [...document.querySelectorAll("details")].every((one) => one.open);` +
        `dispatchEvent(new Event("afterprint")); [paper, open]`;
      deepEqual(await page.ask(ink), ["rgb(255, 255, 255)", true]);
      deepEqual(page.problems, []);
    });
  },
});
