/**
 * ldmatrix, stmatrix and every shape of mma.sync against their definitions, in PTX made here.
 * @module
 */
import assert from "node:assert/strict";
import { Device, parse, toBf16 } from "../../src/emulator/mod.ts";
import { assertClose } from "../support/compare.ts";
import { fromBf16, randomFloats } from "./support.ts";

/** A kernel with pointers in %p0, %p1, … and the lane in %lane. */
function kernel(pointers: number, body: string): string {
  const list = Array.from({ length: pointers }, (_, i) => i);
  return `.version 8.0
    .target sm_90
    .address_size 64
    .visible .entry k(${list.map((i) => `.param .u64 q${i}`).join(", ")})
    {
      .shared .align 16 .b8 tile[512];
      .reg .b64 %p<${pointers + 1}>, %a;
      .reg .b32 %r<20>, %lane, %s;
      .reg .f32 %f<8>;
      mov.u32 %lane, %laneid;
      ${list.map((i) => `ld.param.u64 %p${i}, [q${i}];`).join("\n")}
      ${body}
      ret;
    }`;
}

/** Loads a lane's registers, one behind the other in memory. */
const take = (pointer: number, first: number, count: number) =>
  `mad.wide.u32 %a, %lane, ${4 * count}, %p${pointer};\n` +
  Array.from({ length: count }, (_, i) => `ld.global.u32 %r${first + i}, [%a+${4 * i}];`).join(
    "\n",
  );

const registers = (first: number, count: number) =>
  Array.from({ length: count }, (_, i) => `%r${first + i}`).join(", ");

/** Element [row][column] of matrix m, 8 x 8 of 16 bits, each with a value of its own. */
const elementOf = (m: number, row: number, column: number) => m * 64 + row * 8 + column;

for (const count of [1, 2, 4]) {
  for (const trans of [false, true]) {
    const form = `m8n8.x${count}${trans ? ".trans" : ""}`;
    const loadTile = `
      mul.lo.u32 %r0, %lane, 16;
      mov.u32 %s, tile;
      add.u32 %s, %s, %r0;
      ${take(0, 1, 4)}
      st.shared.v4.b32 [%s], {%r1, %r2, %r3, %r4};
      bar.warp.sync -1;`;

    Deno.test(`ldmatrix ${form}`, () => {
      const stores = Array.from(
        { length: count },
        (_, i) => `st.global.u32 [%a+${4 * i}], %r${8 + i};`,
      ).join("\n");
      const text = kernel(
        2,
        `${loadTile}
        ldmatrix.sync.aligned.${form}.shared.b16 {${registers(8, count)}}, [%s];
        mad.wide.u32 %a, %lane, ${4 * count}, %p1;
        ${stores}`,
      );
      const device = new Device();
      const out = device.alloc("out", 128 * count);
      const tile = device.alloc("tile", Uint16Array.from({ length: 256 }, (_, i) => i));
      const given = { device, grid: 1, block: 32, args: [tile, out] };
      const { findings, counters } = parse(text).launch("k", given);
      assert.deepEqual(findings, []);
      // A matrix is 128 bytes in a row: each is one wavefront.
      const load = counters.places.find(({ opcode }) => opcode.startsWith("ldmatrix"));
      assert.equal(load?.shared?.wavefronts, count);
      const found = new Uint16Array(device.read(out).buffer);
      for (let lane = 0; lane < 32; lane++) {
        for (let m = 0; m < count; m++) {
          for (let k = 0; k < 2; k++) {
            const [g, two] = [lane >> 2, (lane & 3) * 2 + k];
            const wanted = trans ? elementOf(m, two, g) : elementOf(m, g, two);
            assert.equal(found[(lane * count + m) * 2 + k], wanted, `lane ${lane}`);
          }
        }
      }
    });

    Deno.test(`stmatrix ${form} undoes ldmatrix`, () => {
      const text = kernel(
        2,
        `${loadTile}
        ldmatrix.sync.aligned.${form}.shared.b16 {${registers(8, count)}}, [%s];
        bar.warp.sync -1;
        st.shared.v4.b32 [%s], {0, 0, 0, 0};
        bar.warp.sync -1;
        stmatrix.sync.aligned.${form}.shared.b16 [%s], {${registers(8, count)}};
        bar.warp.sync -1;
        ld.shared.v4.b32 {%r1, %r2, %r3, %r4}, [%s];
        mad.wide.u32 %a, %lane, 16, %p1;
        st.global.v4.b32 [%a], {%r1, %r2, %r3, %r4};`,
      );
      const device = new Device();
      const out = device.alloc("out", 512);
      const tile = device.alloc("tile", Uint16Array.from({ length: 256 }, (_, i) => i + 1));
      const given = { device, grid: 1, block: 32, args: [tile, out] };
      assert.deepEqual(parse(text).launch("k", given).findings, []);
      const found = [...new Uint16Array(device.read(out).buffer)];
      assert.deepEqual(found, found.map((_, i) => i < 64 * count ? i + 1 : 0));
    });
  }
}

Deno.test("planted: ldmatrix of what other lanes wrote, without bar.warp.sync", () => {
  const text = kernel(
    1,
    `mul.lo.u32 %r0, %lane, 16;
    mov.u32 %s, tile;
    add.u32 %s, %s, %r0;
    st.shared.v4.b32 [%s], {0, 0, 0, 0};
    ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%r1, %r2, %r3, %r4}, [%s];`,
  );
  const device = new Device();
  const args = [device.alloc("out", 4)];
  const { findings } = parse(text).launch("k", { device, grid: 1, block: 32, args });
  assert.deepEqual(findings.map(({ kind }) => kind), ["race"]);
});

interface Shape {
  readonly k: number;
  readonly type: "bf16" | "f16" | "tf32";
}

/** Row and column of an element of A, and of B, by lane and index: the ISA's tables. */
function places({ k, type }: Shape) {
  const split = (lane: number) => [lane >> 2, lane & 3] as const;
  if (type === "tf32") {
    return {
      countA: k / 2,
      countB: k / 4,
      a: (lane: number, i: number) => {
        const [g, t] = split(lane);
        return [g + (i % 2) * 8, t + (i >= 2 ? 4 : 0)] as const;
      },
      b: (lane: number, i: number) => {
        const [g, t] = split(lane);
        return [t + 4 * i, g] as const;
      },
    };
  }
  return {
    countA: k / 2,
    countB: k / 4,
    a: (lane: number, i: number) => {
      const [g, t] = split(lane);
      const row = (i >= 2 && i < 4) || i >= 6 ? g + 8 : g;
      return [row, t * 2 + (i & 1) + (i >= 4 ? 8 : 0)] as const;
    },
    b: (lane: number, i: number) => {
      const [g, t] = split(lane);
      return [t * 2 + (i & 1) + (i >= 2 ? 8 : 0), g] as const;
    },
  };
}

/** Values as the type holds them, and their bytes. */
function hold(type: Shape["type"], values: Float32Array): {
  readonly values: Float32Array;
  readonly bytes: ArrayBufferView<ArrayBuffer>;
} {
  if (type === "bf16") {
    const bits = toBf16(values);
    return { values: fromBf16(bits), bytes: bits };
  }
  if (type === "f16") {
    const halves = Float16Array.from(values);
    return { values: Float32Array.from(halves), bytes: halves };
  }
  // Values of 10 bits: what tf32 keeps.
  const kept = values.map((v) => Math.round(v * 512) / 512);
  return { values: kept, bytes: Float32Array.from(kept) };
}

for (
  const shape of [
    { k: 16, type: "bf16" },
    { k: 16, type: "f16" },
    { k: 8, type: "bf16" },
    { k: 8, type: "f16" },
    { k: 8, type: "tf32" },
    { k: 4, type: "tf32" },
  ] as const
) {
  Deno.test(`mma.sync m16n8k${shape.k} ${shape.type}`, () => {
    const { k, type } = shape;
    const { countA, countB, a, b } = places(shape);
    const words = type === "tf32" ? 1 : 2;
    const [wordsA, wordsB] = [countA / words, countB / words];
    const A = hold(type, randomFloats(32 * countA, 1));
    const B = hold(type, randomFloats(32 * countB, 2));
    const text = kernel(
      3,
      `${take(0, 0, wordsA)}
      ${take(1, 8, wordsB)}
      ${
        [0, 1, 2, 3].map((i) => `mov.f32 %f${i}, 0f${i === 0 ? "40000000" : "00000000"};`).join(
          "\n",
        )
      }
      mma.sync.aligned.m16n8k${k}.row.col.f32.${type}.${type}.f32 {%f0, %f1, %f2, %f3},
        {${registers(0, wordsA)}}, {${registers(8, wordsB)}}, {%f0, %f1, %f2, %f3};
      mad.wide.u32 %a, %lane, 16, %p2;
      st.global.v4.f32 [%a], {%f0, %f1, %f2, %f3};`,
    );
    const device = new Device();
    const out = device.alloc("d", 512);
    const args = [device.alloc("a", A.bytes), device.alloc("b", B.bytes), out];
    assert.deepEqual(parse(text).launch("k", { device, grid: 1, block: 32, args }).findings, []);
    const wanted = new Float64Array(16 * 8);
    const left = new Float64Array(16 * k);
    const right = new Float64Array(k * 8);
    for (let lane = 0; lane < 32; lane++) {
      for (let i = 0; i < countA; i++) {
        const [row, column] = a(lane, i);
        left[row * k + column] = A.values[lane * countA + i];
      }
      for (let i = 0; i < countB; i++) {
        const [row, column] = b(lane, i);
        right[row * 8 + column] = B.values[lane * countB + i];
      }
    }
    for (let i = 0; i < 128; i++) {
      for (let c = 0; c < k; c++) wanted[i] += left[(i >> 3) * k + c] * right[c * 8 + (i & 7)];
    }
    const found = new Float64Array(128);
    device.readFloat32(out).forEach((value, i) => {
      const [lane, e] = [i >> 2, i & 3];
      const row = (lane >> 2) + (e >= 2 ? 8 : 0);
      found[row * 8 + (lane & 3) * 2 + (e & 1)] = value - (e === 0 ? 2 : 0);
    });
    assertClose(found, wanted, { tolerance: 1e-6, what: "D" });
  });
}
