/**
 * Arguments of a kernel as the command line writes them: `in:bf16[64,32]` is a buffer of random values, `zero:f32[8]` one of zeros,
 * `out:f32[64]` one of NaN that the kernel must fill, a number a number.
 * @module
 */
import type { Argument, Device, DeviceBuffer, Parameter } from "../emulator/mod.ts";
import { toBf16 } from "../emulator/mod.ts";
import { PacacError } from "../errors.ts";

/** A buffer that a kernel may have written. */
export interface Output {
  readonly buffer: DeviceBuffer;
  readonly type: ElementType;
}

/** What {@linkcode argumentsOf} takes beside the words. */
export interface ArgumentOptions {
  readonly device: Device;
  readonly seed: number;
  /** Of the kernel. */
  readonly parameters: readonly Parameter[];
}

/** How values of a type are made from numbers in −1…1 and read back. */
interface Element {
  readonly bytes: number;
  readonly random: (values: Float32Array) => ArrayBufferView<ArrayBuffer>;
  readonly read: (device: Device, buffer: DeviceBuffer) => ArrayLike<number>;
}

const whole = (values: Float32Array, most: number) =>
  values.map((v) => Math.floor(Math.abs(v) * most));

const ELEMENTS = {
  f32: {
    bytes: 4,
    random: (values) => Float32Array.from(values),
    read: (device, buffer) => device.readFloat32(buffer),
  },
  bf16: {
    bytes: 2,
    random: toBf16,
    read: (device, buffer) => device.readBf16(buffer),
  },
  i32: {
    bytes: 4,
    random: (values) => Int32Array.from(whole(values, 100)),
    read: (device, buffer) => new Int32Array(device.read(buffer).buffer),
  },
  u8: {
    bytes: 1,
    random: (values) => Uint8Array.from(whole(values, 256)),
    read: (device, buffer) => device.read(buffer),
  },
  f64: {
    bytes: 8,
    random: (values) => Float64Array.from(values),
    read: (device, buffer) => new Float64Array(device.read(buffer).buffer),
  },
} as const satisfies Record<string, Element>;

/** A type of buffers. */
export type ElementType = keyof typeof ELEMENTS;

/** No kernel to look at needs more. */
const MOST_ELEMENTS = 2 ** 28;

/**
 * Allocates what the words ask for.
 * @param words Arguments in order
 * @param options Device, seed, parameters
 * @throws {PacacError} usage
 */
export function argumentsOf(
  words: readonly string[],
  { device, seed, parameters }: ArgumentOptions,
): { readonly args: Argument[]; readonly outputs: Output[] } {
  const outputs: Output[] = [];
  const args = words.map((word, i): Argument => {
    const number = word.trim() === "" ? NaN : Number(word);
    if (!Number.isNaN(number)) return checkNumber(word, number, parameters.at(i));
    const { kind, type, count } = parseBuffer(word);
    const { bytes, random } = ELEMENTS[type];
    const name = parameters.at(i)?.name ?? `argument ${i}`;
    if (kind === "in") return device.alloc(name, random(randomValues(count, seed + i)));
    const buffer = device.alloc(name, count * bytes, { initialised: kind === "zero" });
    outputs.push({ buffer, type });
    return buffer;
  });
  return { args, outputs };
}

function checkNumber(word: string, value: number, parameter: Parameter | undefined): number {
  const isFloat = parameter !== undefined && /^f/.test(parameter.type);
  if (isFloat || Number.isSafeInteger(value)) return value;
  throw new PacacError("usage", `Cannot use --arg ${word}: the parameter is a whole number`, {
    remedy: "give a whole number",
  });
}

function parseBuffer(word: string): { kind: string; type: ElementType; count: number } {
  const match = word.match(/^(in|out|zero):(\w+)\[(\d{1,9}(?:,\d{1,9})*)\]$/);
  const [, kind, type, extents] = match ?? [];
  const count = (extents ?? "").split(",").reduce((product, n) => product * Number(n), 1);
  if (match === null || !isElement(type) || count > MOST_ELEMENTS) {
    throw new PacacError("usage", `Cannot use --arg ${word}: it is no number and no buffer`, {
      remedy: `write in:TYPE[64,32], zero:TYPE[8] or out:TYPE[64], TYPE one of ${
        Object.keys(ELEMENTS).join(", ")
      }`,
    });
  }
  return { kind, type, count };
}

function isElement(type: string): type is ElementType {
  return type in ELEMENTS;
}

/** Values in −1…1, the same for the same seed. */
function randomValues(count: number, seed: number): Float32Array {
  let state = Math.imul(seed + 1, 0x9e37_79b1);
  return Float32Array.from({ length: count }, () => {
    state = Math.imul(state, 1664525) + 1013904223 | 0;
    return (state >>> 8) / 2 ** 23 - 1;
  });
}

/** How a buffer looks after the launch. */
export interface ResultLine {
  readonly name: string;
  readonly first: readonly number[];
  /** Elements that are NaN; of a buffer that started as NaN, those never written. */
  readonly nan: number;
  readonly text: string;
}

/**
 * Looks at what a kernel wrote.
 * @param device Where
 * @param outputs Which buffers
 */
export function describeResults(device: Device, outputs: readonly Output[]): ResultLine[] {
  return outputs.map(({ buffer, type }) => {
    const values = ELEMENTS[type].read(device, buffer);
    let nan = 0;
    for (let i = 0; i < values.length; i++) if (Number.isNaN(values[i])) nan++;
    const first = Array.from({ length: Math.min(4, values.length) }, (_, i) => values[i]);
    const shown = first.map((value) => `${Number(value.toPrecision(6))}`).join(" ");
    const rest = values.length > 4 ? " …" : "";
    const { name } = buffer;
    return {
      name,
      first,
      nan,
      text: `${name} ${type}[${values.length}]: ${shown}${rest}, ${nan} NaN`,
    };
  });
}
