/**
 * What a GGUF file can hold: typed metadata values, and the element types of tensors with their block sizes.
 * @module
 */

/** Number of each scalar type of metadata values, as files store it. */
export const VALUE_TYPES = {
  u8: 0,
  i8: 1,
  u16: 2,
  i16: 3,
  u32: 4,
  i32: 5,
  f32: 6,
  bool: 7,
  string: 8,
  u64: 10,
  i64: 11,
  f64: 12,
} as const;
/** The number that says that an array follows. */
export const ARRAY_TYPE = 9;

/** A scalar type of metadata values. */
export type ValueType = keyof typeof VALUE_TYPES;
/** A scalar: bigint where the type is u64 or i64, boolean for bool, text for string, else a number. */
export type GgufScalar = number | bigint | boolean | string;
/** A metadata value with its type, so that what is read can be written again. */
export type GgufValue =
  | { readonly type: ValueType; readonly value: GgufScalar }
  | { readonly type: "array"; readonly of: ValueType; readonly values: readonly GgufScalar[] };
/** All of a file's metadata, in its order. */
export type GgufMetadata = ReadonlyMap<string, GgufValue>;

/** Element types: their number in a file, elements a block, bytes a block. */
export const GGUF_DTYPES = {
  F32: { id: 0, elements: 1, bytes: 4 },
  F16: { id: 1, elements: 1, bytes: 2 },
  Q4_0: { id: 2, elements: 32, bytes: 18 },
  Q4_1: { id: 3, elements: 32, bytes: 20 },
  Q5_0: { id: 6, elements: 32, bytes: 22 },
  Q5_1: { id: 7, elements: 32, bytes: 24 },
  Q8_0: { id: 8, elements: 32, bytes: 34 },
  Q2_K: { id: 10, elements: 256, bytes: 84 },
  Q3_K: { id: 11, elements: 256, bytes: 110 },
  Q4_K: { id: 12, elements: 256, bytes: 144 },
  Q5_K: { id: 13, elements: 256, bytes: 176 },
  Q6_K: { id: 14, elements: 256, bytes: 210 },
  IQ4_NL: { id: 20, elements: 32, bytes: 18 },
  IQ4_XS: { id: 23, elements: 256, bytes: 136 },
  BF16: { id: 30, elements: 1, bytes: 2 },
} as const;
/** An element type. */
export type GgufDtype = keyof typeof GGUF_DTYPES;

const BY_ID: ReadonlyMap<number, GgufDtype> = new Map(
  namesOf(GGUF_DTYPES).map((name) => [GGUF_DTYPES[name].id, name]),
);
const VALUE_BY_ID: ReadonlyMap<number, ValueType> = new Map(
  namesOf(VALUE_TYPES).map((name) => [VALUE_TYPES[name], name]),
);

function namesOf<Name extends string>(table: Readonly<Record<Name, unknown>>): Name[] {
  return Object.keys(table) as Name[];
}

/**
 * The element type of a number in a file; undefined for one that pacac does not read.
 * @param id The number
 */
export function dtypeOfId(id: number): GgufDtype | undefined {
  return BY_ID.get(id);
}

/**
 * The scalar type of a number in a file; undefined for an array and for what is none.
 * @param id The number
 */
export function valueTypeOfId(id: number): ValueType | undefined {
  return VALUE_BY_ID.get(id);
}

/**
 * Bytes of a tensor, or undefined where its rows are no whole blocks or a double cannot count it.
 * @param shape Its shape, rows first as in PyTorch: the last size is the one that blocks run along
 * @param dtype Its element type
 */
export function ggufByteSize(shape: readonly number[], dtype: GgufDtype): number | undefined {
  const { elements, bytes } = GGUF_DTYPES[dtype];
  if ((shape.at(-1) ?? 1) % elements !== 0) return undefined;
  let size = bytes;
  let left = elements;
  for (const n of shape) {
    size *= n;
    if (!Number.isSafeInteger(size)) return undefined;
    // Divided as soon as it can be, so that large tensors are counted exactly.
    if (left > 1 && size % left === 0) {
      size /= left;
      left = 1;
    }
  }
  return size / left;
}

/**
 * An unsigned 32-bit metadata value.
 * @param value A whole number from 0
 */
export function u32(value: number): GgufValue {
  return { type: "u32", value };
}

/**
 * A float32 metadata value.
 * @param value Rounded to float32 when written
 */
export function f32(value: number): GgufValue {
  return { type: "f32", value };
}

/**
 * A text as metadata value.
 * @param value The text
 */
export function text(value: string): GgufValue {
  return { type: "string", value };
}

/**
 * A yes or no as metadata value.
 * @param value Which
 */
export function flag(value: boolean): GgufValue {
  return { type: "bool", value };
}

/**
 * An array as metadata value.
 * @param of Type of the elements
 * @param values The elements
 */
export function list(of: ValueType, values: readonly GgufScalar[]): GgufValue {
  return { type: "array", of, values };
}
