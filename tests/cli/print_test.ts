/**
 * Numbers and tables for people.
 * @module
 */
import assert from "node:assert/strict";
import { duration, grouped, megabytes, percent, table } from "../../src/cli/print.ts";

Deno.test.each([
  [0, "0 ms"],
  [0.0123, "12 ms"],
  [12.34, "12.3 s"],
  [59.96, "60.0 s"],
  [245, "4 min 05 s"],
  [3599.7, "1 h 00 min"],
  [7380, "2 h 03 min"],
  [NaN, "?"],
  [Infinity, "?"],
])("duration(%s) is %s", (seconds, text) => assert.equal(duration(seconds), text));

Deno.test("table() aligns the first column left, the others right", () => {
  assert.equal(table([["a", "1"], ["long", "100"], ["b"]]), "a       1\nlong  100\nb");
});

Deno.test("counts, sizes and shares", () => {
  assert.equal(grouped(1234567.4), "1,234,567");
  assert.equal(megabytes(1_234_567), "1.23 MB");
  assert.equal(megabytes(123_456_789), "123.5 MB");
  assert.equal(percent(0.4567), "45.7 %");
});
