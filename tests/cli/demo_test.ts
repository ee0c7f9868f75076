/**
 * The demo, which is the first thing that people run: the real command, native program and all, in fewer steps.
 * @module
 */
import { equal, match, ok } from "node:assert/strict";
import { inRepository } from "../support/paths.ts";

Deno.test("demo compiles, asks, trains, and says where everything is", async () => {
  const config = JSON.parse(Deno.readTextFileSync(inRepository("deno.json"))) as {
    readonly tasks: { readonly demo: { readonly command: string } };
  };
  const [, ...args] = config.tasks.demo.command.split(" ");
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...args, "--steps", "8"],
    cwd: inRepository(""),
    env: { NO_COLOR: "1", INIT_CWD: inRepository("") },
    stdin: "null",
  }).output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  equal(code, 0, err);
  const sections = ["Compile", "Before", "Fine-tune", "Loss", "After", "Memory", "Files"];
  let at = -1;
  for (const section of sections) {
    const next = out.indexOf(`\n${section}`, at + 1);
    ok(next > at, `${section} comes after what is before it:\n${out}`);
    at = next;
  }
  equal(out.match(/What is the climate of Iceland\?\n {4}\S/g)?.length, 2, out);
  match(err, /step 1\/8 {2}loss \d/);
  match(err, /step 8\/8 {2}loss \d/);
  match(out, /allocated by training steps: 0 times/);
  const [, planned, used] = /planned +([\d,]+) bytes[\s\S]*used +([\d,]+) bytes/.exec(out) ?? [];
  ok(Number(used.replaceAll(",", "")) <= Number(planned.replaceAll(",", "")), out);
  const page = Deno.readTextFileSync(/^ {2}report +(\S+)/m.exec(out)?.[1] ?? "");
  match(page, /Over 8 steps; \d+\.\d % of their time is in kernels/);
  match(page, /<th scope="row">linear_backward_input_\w+<\/th>/);
  match(page, /<path class="area c2"/);
  for (const name of ["program", "adapter", "checkpoint"]) {
    const path = new RegExp(`^ {2}${name} +(\\S+)`, "m").exec(out)?.[1] ?? "";
    ok(Deno.statSync(path).isDirectory, `${name} ${path}`);
  }
});
