/**
 * Event files against a reader written here from the formats' definitions: checksums bit by bit, messages as trees of fields.
 * @module
 */
import assert from "node:assert/strict";
import type { SampleEvent, StepEvent } from "../../src/train/events.ts";
import { TensorBoardLogger } from "../../src/train/log_tensorboard.ts";
import { TempFolder } from "../formats/support.ts";

/** CRC-32C by its definition: division of the reflected bits by x^32 + 0x1EDC6F41. */
function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    for (let bit = 0; bit < 8; bit++) {
      const carry = (crc ^ byte >>> bit) & 1;
      crc = crc >>> 1 ^ (carry === 1 ? 0x82f63b78 : 0);
    }
  }
  return ~crc >>> 0;
}

const masked = (bytes: Uint8Array) => {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
};

function records(file: Uint8Array<ArrayBuffer>): Uint8Array[] {
  const view = new DataView(file.buffer);
  const found: Uint8Array[] = [];
  for (let at = 0; at < file.length;) {
    const length = Number(view.getBigUint64(at, true));
    assert.equal(view.getUint32(at + 8, true), masked(file.subarray(at, at + 8)), "length");
    const data = file.subarray(at + 12, at + 12 + length);
    assert.equal(view.getUint32(at + 12 + length, true), masked(data), "data");
    found.push(data);
    at += length + 16;
  }
  return found;
}

type Fields = Map<number, (bigint | Uint8Array)[]>;

/** Fields of a message by number; numbers as their bits, the rest as bytes. */
function fieldsOf(message: Uint8Array): Fields {
  const fields: Fields = new Map();
  const view = new DataView(message.buffer, message.byteOffset, message.length);
  let at = 0;
  const varint = () => {
    let value = 0n, shift = 0n, byte: number;
    do {
      byte = view.getUint8(at++);
      value |= BigInt(byte & 0x7f) << shift;
      shift += 7n;
    } while (byte >= 0x80);
    return value;
  };
  const take = (kind: number): bigint | Uint8Array => {
    if (kind === 0) return varint();
    if (kind === 1) return view.getBigUint64((at += 8) - 8, true);
    if (kind === 5) return BigInt(view.getUint32((at += 4) - 4, true));
    assert.equal(kind, 2);
    const length = Number(varint());
    return message.subarray(at, at += length);
  };
  while (at < message.length) {
    const tag = Number(varint());
    const value = take(tag & 7);
    fields.set(tag >> 3, [...fields.get(tag >> 3) ?? [], value]);
  }
  return fields;
}

const inner = (fields: Fields, ...path: number[]): Fields =>
  path.reduce((at, field) => {
    const [bytes] = at.get(field) ?? [];
    assert.ok(bytes instanceof Uint8Array, `field ${field}`);
    return fieldsOf(bytes);
  }, fields);
const bits = (fields: Fields, field: number) =>
  BigInt.asUintN(64, fields.get(field)?.[0] as bigint);
const textOf = (fields: Fields, field: number) =>
  new TextDecoder().decode(fields.get(field)?.[0] as Uint8Array);
const doubleOf = (fields: Fields, field: number) =>
  new Float64Array(BigUint64Array.of(bits(fields, field)).buffer)[0];
const floatOf = (fields: Fields, field: number) =>
  new Float32Array(Uint32Array.of(Number(bits(fields, field))).buffer)[0];

const step = (number: number): StepEvent => ({
  type: "step",
  step: number,
  steps: 300,
  loss: 1 / number,
  gradNorm: 0.5,
  learningRate: 1e-3,
  tokens: 100,
  supervised: 50,
  tokensPerSecond: 1234.5,
  seconds: 0.1,
  residentBytes: 2 ** 33,
});
const sample: SampleEvent = {
  type: "sample",
  step: 300,
  sample: 0,
  prompt: "What is ☃?\n# no heading",
  expected: "",
  text: "<b>snow</b>",
};

function read(folder: string): Fields[] {
  const names = [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
  return names.flatMap((name) => records(Deno.readFileSync(`${folder}/${name}`)).map(fieldsOf));
}

Deno.test("the checksum is CRC-32C", () => {
  // RFC 3720, B.4.
  assert.equal(crc32c(new Uint8Array(32)), 0x8a9136aa);
  assert.equal(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i)), 0x46dd794e);
});

Deno.test("TensorBoardLogger writes version, start, scalars and texts", () => {
  using folder = new TempFolder();
  const path = folder.file("tensorboard");
  const before = Date.now() / 1000;
  {
    using logger = new TensorBoardLogger(path, 0);
    logger.log(step(1));
    logger.log(step(300));
    logger.log({ type: "eval", step: 300, loss: 0.25, supervised: 9 });
    logger.log({ type: "saved", step: 300, dir: "d" });
    logger.log(sample);
  }
  const events = read(path);
  assert.equal(events.length, 6, "what is no curve and no text is left out");
  assert.equal(textOf(events[0], 3), "brain.Event:2");
  for (const event of events) {
    const time = doubleOf(event, 1);
    assert.ok(time >= before && time <= Date.now() / 1000, `${time}`);
  }
  assert.deepEqual([bits(events[1], 2), bits(inner(events[1], 7), 1)], [0n, 1n]);

  const values = (event: Fields) =>
    Object.fromEntries((inner(event, 5).get(1) ?? []).map((bytes) => {
      const value = fieldsOf(bytes as Uint8Array);
      return [textOf(value, 1), floatOf(value, 2)];
    }));
  assert.equal(bits(events[3], 2), 300n);
  assert.deepEqual(values(events[3]), {
    "loss/train": Math.fround(1 / 300),
    gradient_norm: 0.5,
    learning_rate: Math.fround(1e-3),
    tokens_per_second: 1234.5,
    resident_bytes: 2 ** 33,
  });
  assert.deepEqual(values(events[4]), { "loss/validation": 0.25 });

  const shown = inner(events[5], 5, 1);
  assert.equal(textOf(shown, 1), "sample/1");
  assert.equal(textOf(inner(shown, 9, 1), 1), "text");
  const tensor = inner(shown, 8);
  assert.deepEqual([bits(tensor, 1), bits(inner(tensor, 2, 2), 1)], [7n, 1n]);
  assert.match(textOf(tensor, 8), /^ {4}What is ☃\?\n {4}# no heading\n[^]*^ {4}<b>snow<\/b>$/m);
});

Deno.test("a run that goes on begins a file behind the others and takes later steps back", () => {
  using folder = new TempFolder();
  const path = folder.file("tensorboard");
  for (const stepsDone of [0, 5, 5]) {
    using logger = new TensorBoardLogger(path, stepsDone);
    logger.log(step(stepsDone + 1));
  }
  const events = read(path);
  const starts = events.filter((event) => event.has(7)).map((event) => bits(event, 2));
  assert.deepEqual(starts, [0n, 6n, 6n]);
  assert.deepEqual(
    events.filter((event) => event.has(5)).map((event) => bits(event, 2)),
    [1n, 6n, 6n],
  );
});
