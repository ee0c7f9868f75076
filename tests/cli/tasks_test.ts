/**
 * deno.json's tasks: what `deno task` lists.
 * @module
 */
import assert from "node:assert/strict";

interface Task {
  readonly description?: string;
  readonly command?: string;
}

const { tasks } = JSON.parse(
  await Deno.readTextFile(new URL("../../deno.json", import.meta.url)),
) as { tasks: Record<string, Task> };

Deno.test.each(Object.entries(tasks))("task %s has a description of one line", (_, task) => {
  assert.match(task.description ?? "", /^[A-Z].{10,90}[^.]$/);
});

Deno.test("every command is a task, runs without prompts and without all permissions", async () => {
  const source = await Deno.readTextFile(new URL("../../src/cli/main.ts", import.meta.url));
  const names = [...source.matchAll(/name: "([\w:-]+)",\s+summary: "([^"]+)"/g)];
  assert.ok(names.length >= 6);
  for (const [, name, summary] of names) {
    assert.equal(tasks[name].description, summary);
    const command = tasks[name].command ?? "";
    assert.match(command, new RegExp(`^deno run --no-prompt .* src/cli/main\\.ts ${name}$`));
    assert.doesNotMatch(command, / -A| --allow-all/);
  }
});
