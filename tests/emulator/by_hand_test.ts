/**
 * PTX written by hand: grammar, control flow, addresses, launches and what is refused. No nvcc is needed.
 * @module
 */
import assert from "node:assert/strict";
import { PacacError } from "../../src/errors.ts";
import { Device, findingText, parse } from "../../src/emulator/mod.ts";
import { runCommand } from "../errors/case.ts";
import { inRepository } from "../support/paths.ts";
import { randomNumbers } from "./support.ts";

const SEED = Number(Deno.env.get("PACAC_SEED") ?? 1);

const TEXT = Deno.readTextFileSync(inRepository("tests/emulator/kernels/by_hand.ptx"));

/** Runs a kernel with one output of words. */
function run(entry: string, given: { block?: number; count?: number; shared?: number } = {}) {
  const device = new Device();
  const { block = 32, count = 32, shared = 0 } = given;
  const y = device.alloc("y", count * 4);
  const report = parse(TEXT).launch(entry, { device, grid: 1, block, shared, args: [y] });
  return { ...report, words: [...new Uint32Array(device.read(y).buffer)] };
}

const lanes = (of: (lane: number) => number, count = 32) =>
  Array.from({ length: count }, (_, i) => of(i));

Deno.test("a name of an inner scope hides the outer one", () => {
  const { words, findings } = run("scopes", { block: 64, count: 64 });
  assert.deepEqual(words, lanes((i) => (i + 1) * 10 + 5, 64));
  assert.deepEqual(findings, []);
});

Deno.test("a table of branch targets parts a warp in three", () => {
  const { words, complete } = run("table_branch");
  assert.deepEqual(words, lanes((i) => [7, 11, 222][i % 3]));
  assert.ok(complete);
});

Deno.test("constants, initial values, parts of registers", () => {
  assert.deepEqual(run("parts", { block: 1, count: 2 }).words, [0x4040, 6]);
});

Deno.test("a finding names the wrapper's line and the line that calls it", () => {
  const { findings } = run("places", { block: 1, count: 1 });
  assert.deepEqual(findings.map(({ kind }) => kind), ["uninitialised"]);
  assert.deepEqual(findings[0].source, [
    { file: "/src/wrappers.cuh", line: 7 },
    { file: "/src/by_hand.cu", line: 41 },
  ]);
  assert.match(findingText(findings[0]), /wrappers\.cuh:7 \(inlined at by_hand\.cu:41\)/);
});

Deno.test("lanes that come to a barrier later are waited for", () => {
  const { words, findings, complete } = run("late", { block: 64, count: 64 });
  assert.deepEqual(findings, []);
  assert.ok(complete);
  assert.deepEqual(words, lanes((i) => i < 16 ? 2 : 1, 64));
});

Deno.test("a loop without an end is a finding", () => {
  const report = parse(TEXT).launch("endless", {
    ...{ device: new Device(), grid: 1, block: 32, args: [], maxBranches: 1000 },
  });
  assert.equal(report.complete, false);
  assert.equal(report.findings[0].kind, "endless");
});

Deno.test("a wild pointer is a finding, and nothing is written", () => {
  const { findings, words } = run("wild");
  assert.deepEqual(findings.map(({ kind, count }) => [kind, count]), [["out-of-bounds", 32]]);
  assert.match(findings[0].message, /0x40 is in no memory/);
  assert.ok(words.every((word) => word === 0xffff_ffff));
});

Deno.test("generic addresses of shared memory; bytes side by side are no race", () => {
  const { findings, words } = run("generic", { shared: 32 });
  assert.deepEqual(findings, []);
  assert.deepEqual(words, lanes((i) => i));
});

Deno.test("past the end of dynamic shared memory", () => {
  const { findings } = run("generic", { shared: 16 });
  assert.deepEqual([...new Set(findings.map(({ kind }) => kind))], ["out-of-bounds"]);
  assert.equal(findings[0].address?.space, "shared");
});

Deno.test("fragments of mma lie as the ISA draws them", () => {
  // Elements that name their place: A[i][k] = i + k / 16, B[k][j] = (k = 3) · (j + 1), halves.
  const half = new Float16Array(16 * 16);
  const a = new Float16Array(32 * 8);
  const b = new Float16Array(32 * 4);
  for (let i = 0; i < 256; i++) half[i] = Math.floor(i / 16) + i % 16 / 16;
  for (let lane = 0; lane < 32; lane++) {
    const [g, t] = [lane >> 2, lane & 3];
    for (let e = 0; e < 8; e++) {
      // Element e of A: register e / 2; rows g and g + 8 in turn, columns past 8 from register 2.
      const row = g + (Math.floor(e / 2) % 2) * 8;
      const column = t * 2 + e % 2 + (e >= 4 ? 8 : 0);
      a[lane * 8 + e] = half[row * 16 + column];
    }
    for (let e = 0; e < 4; e++) {
      const k = t * 2 + e % 2 + (e >= 2 ? 8 : 0);
      b[lane * 4 + e] = k === 3 ? g + 1 : 0;
    }
  }
  const device = new Device();
  const d = device.alloc("d", 512);
  const args = [device.alloc("a", a), device.alloc("b", b), d];
  parse(TEXT).launch("fragments", { device, grid: 1, block: 32, args });
  const found = device.readFloat32(d);
  for (let lane = 0; lane < 32; lane++) {
    for (let e = 0; e < 4; e++) {
      const row = (lane >> 2) + (e >= 2 ? 8 : 0);
      const column = (lane & 3) * 2 + e % 2;
      assert.equal(found[lane * 4 + e], 1 + (row + 3 / 16) * (column + 1), `${row}, ${column}`);
    }
  }
});

Deno.test("launches that cannot be are refused", () => {
  const device = new Device();
  const module = parse(TEXT);
  const y = device.alloc("y", 4);
  const refused = (entry: string, given: object, message: RegExp) =>
    assert.throws(
      () => module.launch(entry, { device, grid: 1, block: 1, args: [y], ...given }),
      (error: unknown) => error instanceof PacacError && message.test(error.message),
    );
  refused("scopes", { block: 65 }, /65 threads of a block are more than 64/);
  refused("nothing", {}, /no such kernel/);
  refused("scopes", { args: [] }, /1 parameters and was given 0/);
  refused("scopes", { args: [0.5] }, /0\.5 is no \.u64/);
  refused("scopes", { grid: 0 }, /whole numbers from 1/);
  refused("generic", { shared: 1 << 20 }, /shared memory are more than/);
  assert.throws(() => device.alloc("huge", 2 ** 33), /more than the emulator's/);
});

const kernel = (body: string) =>
  `.version 8.0\n.target sm_80\n.address_size 64\n.entry k() {\n.reg .b32 %r<4>;\n${body}\nret;\n}`;

for (
  const [what, body, message] of [
    ["an unknown opcode", "wgmma.fence.sync.aligned;", /wgmma.*not known/],
    ["an unknown form", "add.u8 %r1, %r2, %r3;", /add\.u8/],
    ["a call", "call.uni (%r1), vprintf, (%r2, %r3);", /calls vprintf/],
    [
      "an unknown special register",
      "mov.u32 %r1, %cluster_ctaid.x;",
      /%cluster_ctaid.x is not known/,
    ],
    ["a register that is not declared", "mov.u32 %r9, 1;", /destination is no register/],
    ["a label that is not there", "bra $nowhere;", /\$nowhere is not there/],
    ["an operand of another width", "add.s64 %r1, %r2, %r3;", /does not fit/],
    ["a name like one of an object", "constructor %r1;", /not known/],
    ["a sign that is not PTX's", "mov.u32 %r1, #;", /not of PTX/],
    ["an end in the middle", "{", /ends in the middle/],
  ] as const
) {
  Deno.test(`${what} is a hard error with its line`, () => {
    assert.throws(
      () => parse(kernel(body)).launch("k", { device: new Device(), grid: 1, block: 1, args: [] }),
      (error: unknown) =>
        error instanceof PacacError && error.code === "ptx-invalid" &&
        message.test(error.message) && error.place.line !== undefined,
    );
  });
}

Deno.test("deno task emulate prints findings and exits with 1", async () => {
  const file = inRepository("tests/emulator/kernels/by_hand.ptx");
  const dir = inRepository("");
  const command = ["emulate", file, "places", "--json", "--block", "1", "--arg", "out:f32[1]"];
  const { exit, stdout } = await runCommand(command, { dir });
  assert.equal(exit, "1");
  const report = JSON.parse(stdout) as { findings: { kind: string }[]; complete: boolean };
  assert.deepEqual(report.findings.map(({ kind }) => kind), ["uninitialised"]);
  const text = await runCommand(["emulate", file, "table_branch", "--arg", "zero:i32[32]"], {
    dir,
  });
  assert.equal(text.exit, "0", text.stderr);
  assert.match(text.stdout, /table_branch: 0 findings/);
  assert.match(text.stdout, /i32\[32\]: 7 11 222 7 …/);
});

Deno.test("what an unchecked launch wrote counts as written", () => {
  const device = new Device();
  const y = device.alloc("y", 256);
  const module = parse(TEXT);
  const given = { device, grid: 1, block: 64, args: [y] };
  const plain = module.launch("scopes", { ...given, check: false });
  assert.ok(plain.counters.warpInstructions > 0);
  assert.deepEqual(module.launch("places", { ...given, block: 1 }).findings, []);
});

Deno.test("damaged PTX is refused or runs to an end, and is never a fault of the emulator's", () => {
  const lines = TEXT.split("\n");
  const random = randomNumbers(SEED);
  const whole = (below: number) => Math.floor((random() + 1) / 2 * below);
  let refused = 0;
  for (let round = 0; round < 300; round++) {
    const damaged = [...lines];
    for (let i = 0; i <= whole(3); i++) {
      const at = whole(damaged.length);
      const line = damaged[at];
      const cut = whole(line.length);
      const other = damaged[whole(damaged.length)];
      damaged[at] = [line.slice(0, cut), line.slice(cut), `${line}\n${other}`, ""][whole(4)];
    }
    try {
      const module = parse(damaged.join("\n"));
      for (const entry of module.entries) {
        const device = new Device();
        const args = module.parameters(entry).map(() => device.alloc("y", 1024));
        module.launch(entry, { device, grid: 1, block: 32, shared: 64, args, maxBranches: 100 });
      }
    } catch (error) {
      if (!(error instanceof PacacError)) {
        throw new Error(`seed ${SEED}, round ${round}`, { cause: error });
      }
      refused++;
    }
  }
  assert.ok(refused > 100);
});
