/**
 * Runs one instruction of PTX on many operands: a module written by hand that loads them, applies it and stores the result.
 * @module
 */
import { Device, parse } from "../../src/emulator/mod.ts";

/** A register class by the type of an operand: bits and the type of loads. */
const CLASS: Readonly<Record<string, { readonly bits: 16 | 32 | 64; readonly move: string }>> = {
  b16: { bits: 16, move: "u16" },
  b32: { bits: 32, move: "u32" },
  f32: { bits: 32, move: "f32" },
  b64: { bits: 64, move: "u64" },
  f64: { bits: 64, move: "f64" },
};

/** What {@linkcode evaluate} takes beside the instruction. */
export interface EvaluateOptions {
  /** Register class of each operand, the destination first: b16, b32, f32, b64, f64. */
  readonly registers: readonly string[];
  /** Operands as bits: a row for each source, all as long as each other. */
  readonly sources: readonly (readonly bigint[])[];
}

/**
 * Results of an instruction, as bits.
 * @param instruction With %0 for the destination and %1, … for sources: `add.s32 %0, %1, %2;`
 * @param options Register classes and operands
 */
export function evaluate(instruction: string, { registers, sources }: EvaluateOptions): bigint[] {
  const count = sources[0]?.length ?? 1;
  const classes = registers.map((name) => CLASS[name]);
  const device = new Device();
  const inputs = sources.map((values, i) => {
    return device.alloc(`in${i}`, words(values, classes[i + 1].bits));
  });
  const out = device.alloc("out", count * classes[0].bits / 8);
  const { findings, complete } = parse(moduleOf(instruction, registers)).launch("one", {
    device,
    grid: Math.ceil(count / 32),
    block: 32,
    args: [out, ...inputs, count],
  });
  if (findings.length > 0 || !complete) throw new Error(`findings: ${findings[0]?.message}`);
  return bitsOfBytes(device.read(out), classes[0].bits);
}

/** Text of the module. A lane handles one set of operands. */
function moduleOf(instruction: string, registers: readonly string[]): string {
  const sources = registers.slice(1);
  const declared = registers.map((name, i) => `.reg .${name} %v${i};`).join("\n");
  const loads = sources.map((name, i) => {
    const { bits, move } = CLASS[name];
    return `ld.param.u64 %a, [in${i}];
      mad.wide.u32 %a, %i, ${bits / 8}, %a;
      ld.global.${move} %v${i + 1}, [%a];`;
  });
  const { bits, move } = CLASS[registers[0]];
  return `.version 8.0
    .target sm_90
    .address_size 64
    .visible .entry one(.param .u64 out, ${sources.map((_, i) => `.param .u64 in${i}, `).join("")}
                        .param .u32 count)
    {
      ${declared}
      .reg .pred %past, %p, %q;
      .reg .b32 %i, %block, %n;
      .reg .b64 %a;
      mov.u32 %i, %tid.x;
      mov.u32 %block, %ctaid.x;
      mad.lo.u32 %i, %block, 32, %i;
      ld.param.u32 %n, [count];
      setp.ge.u32 %past, %i, %n;
      @%past ret;
      ${loads.join("\n")}
      ${instruction.replace(/%(\d)/g, "%v$1")}
      ld.param.u64 %a, [out];
      mad.wide.u32 %a, %i, ${bits / 8}, %a;
      st.global.${move} [%a], %v0;
      ret;
    }`;
}

function words(values: readonly bigint[], bits: 16 | 32 | 64): ArrayBufferView<ArrayBuffer> {
  if (bits === 64) return BigUint64Array.from(values);
  const numbers = values.map((v) => Number(BigInt.asUintN(32, v)));
  return bits === 32 ? Uint32Array.from(numbers) : Uint16Array.from(numbers);
}

function bitsOfBytes({ buffer }: Uint8Array<ArrayBuffer>, bits: 16 | 32 | 64): bigint[] {
  if (bits === 64) return [...new BigUint64Array(buffer)];
  const values = bits === 32 ? new Uint32Array(buffer) : new Uint16Array(buffer);
  return Array.from(values, BigInt);
}
