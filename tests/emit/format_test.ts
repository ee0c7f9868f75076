/**
 * The layout of generated C++.
 * @module
 */
import assert from "node:assert/strict";
import { formatCpp } from "../../src/emit/format.ts";

const TABLE = "// clang-format off\nconstexpr int table[] = {\n    /* 0 */ {  1,2 },\n};\n" +
  "// clang-format on\n";

Deno.test("formatCpp() lays out code and leaves marked parts as they are, each in its place", () => {
  const source = `namespace a {\nint  f( int x ){return x;}\n${TABLE}int g();\n` +
    `// clang-format off\n  second   // kept 0\n// clang-format on\nint  h();\n}\n`;
  assert.equal(
    formatCpp(source),
    `namespace a {\nint f(int x) { return x; }\n${TABLE}int g();\n` +
      `// clang-format off\n  second   // kept 0\n// clang-format on\nint h();\n}  // namespace a\n`,
  );
});

Deno.test("formatCpp() asks its memo by what was given", () => {
  const keys: string[] = [];
  const memo = {
    text: (key: string, make: () => string) => (keys.push(key), make()),
    textLater: (_: string, make: () => Promise<string>) => make(),
  };
  assert.equal(formatCpp("int  f();\n", memo), "int f();\n");
  assert.match(keys[0], /\nint {2}f\(\);\n$/);
});
