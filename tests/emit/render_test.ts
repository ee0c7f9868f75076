/**
 * The guards must find what nunjucks lets through: each template here has a planted fault.
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { Bug } from "../../src/errors.ts";
import { namesOf } from "../../src/emit/guards.ts";
import { cFloat, hex, Renderer } from "../../src/emit/render.ts";

function render(template: string, context: Record<string, unknown>): string {
  const folder = Deno.makeTempDirSync();
  try {
    Deno.writeTextFileSync(`${folder}/t.njk`, template);
    return new Renderer([folder]).render("t.njk", context);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

/** Template, context, what the message must name. */
const FAULTS: readonly (readonly [string, Record<string, unknown>, RegExp])[] = [
  ["one\n{{ k.tiel * 4 }}", { k: { tile: 6 } }, /k\.tiel.*tile/],
  ["{{ nope * 4 }}", { k: {} }, /t\.njk:1.*nope/],
  ["a\nb\n{% if nope %}x{% endif %}", { k: {} }, /t\.njk:3.*nope/],
  ["{% for x in nope %}x{% endfor %}", { k: {} }, /nope/],
  ["{{ k.tile | cFloat }}{{ nope | hex }}", { k: { tile: 1 } }, /nope/],
  ["{% if k.fused %}x{% endif %}", { k: { tile: 1 } }, /k\.fused/],
  [
    "{% for x in k.list %}{{ x.size }}{% endfor %}",
    { k: { list: [{ sise: 1 }] } },
    /k\.list\.0\.size/,
  ],
  ["{% set t = k.tile * other %}{{ t }}", { k: { tile: 1 } }, /other/],
  ["{% macro m(a) %}{{ a + b }}{% endmacro %}{{ m(1) }}", { k: {} }, /reads b/],
  ["{{ x }}{% for x in k.list %}{{ x }}{% endfor %}", { k: { list: [1] } }, /reads x/],
  ["{{ k.tile / 'a' }}", { k: { tile: 1 } }, /line 1 .*NaN/],
  ["\n{{ k }}", { k: { tile: 1 } }, /\[object/],
  ["{{ k.tile }}", { k: { tile: undefined } }, /k\.tile is undefined/],
  ["{{ k.tile }}", { k: { tile: NaN } }, /k\.tile is not a number/],
  ["{{ k.tile | cFloat }}", { k: { tile: "6" } }, /Cannot write 6 as a float/],
  ["{% include 'missing.njk' %}", { k: {} }, /missing\.njk/],
];

Deno.test("Renderer refuses templates that read what is not there", () => {
  for (const [template, context, message] of FAULTS) {
    assert.throws(
      () => render(template, context),
      (error) => error instanceof Bug && message.test(error.message),
      template,
    );
  }
});

Deno.test("Renderer renders what loops, macros, sets and tests bind", () => {
  const template = [
    "{% macro twice(a, b=2) %}{{ a * b }}{% endmacro %}",
    "{% set total = 0 %}",
    "{% for key, value in k.table %}{{ key }}={{ value }}{{ ',' if not loop.last }}{% endfor %}",
    "{% for x in k.list %}",
    "{% if x is divisibleby(k.two) %}{{ twice(x, b=3) }};{% endif %}",
    "{% endfor %}",
    "{{ k.list | join('-') }} {{ total + k.two }} {{ range(0, 2) | length }}",
  ].join("\n");
  const text = render(template, { k: { table: { a: 1, b: 2 }, list: [1, 2, 4], two: 2 } });
  assert.equal(text, "a=1,b=26;12;1-2-4 2 2");
});

Deno.test("Renderer checks included templates too", () => {
  const folder = Deno.makeTempDirSync();
  try {
    Deno.writeTextFileSync(`${folder}/t.njk`, "{% include 'part.njk' %}");
    Deno.writeTextFileSync(`${folder}/part.njk`, "x\n{{ dims.T + Q }}");
    const renderer = new Renderer([folder]);
    assert.throws(() => renderer.render("t.njk", { dims: { T: 1 } }), /part\.njk:2.*Q/);
    assert.equal(renderer.render("t.njk", { dims: { T: 1 }, Q: 2 }), "x\n3");
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});

Deno.test("namesOf() lists free names once bound names are taken away", () => {
  const names = namesOf("{{ a }}{% for b in c %}{{ b.d + loop.index }}{% endfor %}{{ f | g(h) }}");
  assert.deepEqual(names.free.map(({ name }) => name), ["a", "c", "f", "h"]);
});

Deno.test("cFloat() writes literals that read back as the nearest float32", () => {
  assert.equal(cFloat(1e-5), "9.99999975e-06f");
  assert.equal(cFloat(0), "0.0f");
  assert.equal(cFloat(2), "2.0f");
  assert.equal(cFloat(-0.5), "-0.5f");
  assert.equal(cFloat(1e30), "1.00000002e+30f");
  assert.throws(() => cFloat(NaN), Bug);
  assert.throws(() => cFloat(1e39), Bug);
  fc.assert(fc.property(fc.float({ noNaN: true, noDefaultInfinity: true }), (value) => {
    const text = cFloat(value);
    assert.match(text, /^-?\d+(\.\d+(e[+-]\d+)?|\.\d+)f$/);
    assert.equal(Math.fround(Number(text.slice(0, -1))), value === 0 ? 0 : value);
  }));
});

Deno.test("hex() writes natural numbers only", () => {
  assert.equal(hex(255), "0xff");
  assert.throws(() => hex(-1), Bug);
});
