/** Containers, compression and detection, by real files, hostile ones among them. */
import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { gzipSync, zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import { join } from "node:path";
import { detectKind, rowsOf } from "../../../src/train/data/detect.ts";
import { jsonArray } from "../../../src/train/data/json_array.ts";
import { jsonLines, textSections } from "../../../src/train/data/lines.ts";
import { csvRows } from "../../../src/train/data/csv.ts";
import { MAX_ROW_BYTES, type RowStream } from "../../../src/train/data/rows.ts";
import { parquetRows } from "../../../src/train/data/parquet.ts";
import { PacacError } from "../../../src/errors.ts";
import { fileOf, filesIn } from "./support.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

/** A stream of pieces of a size. */
async function* inPieces(all: Uint8Array, size: number): AsyncGenerator<Uint8Array, void> {
  for (let at = 0; at < all.length; at += size) {
    yield await Promise.resolve(all.slice(at, at + size));
  }
}

interface Read {
  readonly rows: { value: unknown; line: number | undefined }[];
  readonly faults: PacacError[];
}

async function readAll(stream: RowStream): Promise<Read> {
  const read: Read = { rows: [], faults: [] };
  for await (const row of stream) {
    if ("fault" in row) read.faults.push(row.fault);
    else read.rows.push({ value: row.value, line: row.place.line });
  }
  return read;
}

async function readFile(file: string): Promise<Read> {
  return await readAll(rowsOf(file, await detectKind(file), {}));
}
const values = ({ rows }: Read) => rows.map(({ value }) => value);
const lines = ({ rows }: Read) => rows.map(({ line }) => line);

const ROWS = [{ text: "a" }, { text: 'b "\\\\ ]}' }, { text: "ü\u2028€" }];
const LINES = ROWS.map((row) => JSON.stringify(row)).join("\n");
const PARQUET =
  "UEFSMRUGFSAVJFwVBBUAFQQVABUEFQAAAAMDDjQDAAAAQWRkAwAAAFNheRUGFRIVFlwVBBUCFQQVABUEFQAAAAMBBxgDAAAAMSsxFQYVGhUeXBUEFQAVBBUAFQQVAAAAAwMLKAEAAAAyAgAAAG5vFQYVJBUoXBUEFQAVBBUAFQQVAAAAAwMQPAEAAAAAAAAAAgAAAAAAAAAVBhUWFRpcFQIVABUCFQAVBBUAAAADAQkgBQAAAENvdW50FQYVBBUGXBUCFQIVAhUAFQQVAAAAAwAAFQYVFhUaXBUCFQAVAhUAFQQVAAAAAwEJIAUAAAAxIDIgMxUGFRQVGFwVAhUAFQIVABUEFQAAAAMBCBwDAAAAAAAAABUEGVxIBHJvb3QVCAAVDCUCGAtpbnN0cnVjdGlvbiUAABUMJQIYBWlucHV0JQAAFQwlAhgGb3V0cHV0JQAAFQQlAhgCaWQAFgYZLBlMJggcFQwZFQAZGAtpbnN0cnVjdGlvbhUCFgQWShZOJgg8NgAoA1NheRgDQWRkABkcFQYVABUCAAAAJlYcFQwZFQAZGAVpbnB1dBUCFgQWPBZAJlY8NgIoAzErMRgDMSsxABkcFQYVABUCAAAAJpYBHBUMGRUAGRgGb3V0cHV0FQIWBBZEFkgmlgE8NgAoAm5vGAEyABkcFQYVABUCAAAAJt4BHBUEGRUAGRgCaWQVAhYEFk4WUibeATw2ACgIAgAAAAAAAAAYCAEAAAAAAAAAABkcFQYVABUCAAAAFpgCFgQ2qAIAGUwmsAIcFQwZFQAZGAtpbnN0cnVjdGlvbhUCFgIWQBZEJrACPDYAKAVDb3VudBgFQ291bnQAGRwVBhUAFQIAAAAm9AIcFQwZFQAZGAVpbnB1dBUCFgIWLhYwJvQCPDYCABkcFQYVABUCAAAAJqQDHBUMGRUAGRgGb3V0cHV0FQIWAhZAFkQmpAM8NgAoBTEgMiAzGAUxIDIgMwAZHBUGFQAVAgAAACboAxwVBBkVABkYAmlkFQIWAhY+FkIm6AM8NgAoCAMAAAAAAAAAGAgDAAAAAAAAAAAZHBUGFQAVAgAAABbsARYCNvoBACgJaHlwYXJxdWV0GUwcAAAcAAAcAAAcAAAANgIAAFBBUjE=";
const parquet = Uint8Array.from(atob(PARQUET), (letter) => letter.charCodeAt(0));

Deno.test.each([
  { name: "a.jsonl", content: LINES, kind: "jsonl none" },
  { name: "named.txt", content: LINES, kind: "jsonl none" },
  { name: "a", content: `\ufeff\r\n${JSON.stringify(ROWS, null, 2)}`, kind: "json none" },
  { name: "a", content: "instruction,output\n1,2\n", kind: "csv none" },
  { name: "a", content: "instruction\toutput\n1\t2\n", kind: "csv none" },
  { name: "a", content: '"1, 2?",1,2,3,4,B\n', kind: "csv none" },
  { name: "a.csv", content: "x,y\n1,2\n", kind: "csv none" },
  { name: "a", content: "Well, a sentence, with commas.\nAnd more.\n", kind: "text none" },
  { name: "a", content: "[1] Anarchism is", kind: "text none" },
  { name: "a", content: "{ not JSON", kind: "text none" },
  { name: "a.jsonl", content: "{ not JSON", kind: "jsonl none" },
  { name: "a", content: "", kind: "text none" },
  { name: "a", content: gzipSync(LINES), kind: "jsonl gzip" },
  { name: "a.csv", content: zstdCompressSync(bytes(LINES)), kind: "jsonl zstd" },
  { name: "a.jsonl", content: parquet, kind: "parquet none" },
])("detectKind() takes $name as $kind by its content", async ({ name, content, kind }) => {
  const found = await detectKind(await fileOf(name, content));
  equal(`${found.container} ${found.compression}`, kind);
});

for (const [name, compress] of [["gzip", gzipSync], ["zstd", zstdCompressSync]] as const) {
  Deno.test(`${name} is undone, several members after one another too`, async () => {
    const parts = [compress(bytes(`${LINES}\n`)), compress(bytes(LINES))];
    const file = await fileOf("a", new Uint8Array([...parts[0], ...parts[1]]));
    deepEqual(values(await readFile(file)), [...ROWS, ...ROWS]);
  });

  Deno.test(`${name} that is cut off anywhere is an error`, async () => {
    const noise = Array.from({ length: 3000 }, (_, i) => ({ text: `${Math.imul(i, 0x9e3779b9)}` }));
    const whole = compress(bytes(noise.map((row) => JSON.stringify(row)).join("\n")));
    for (const share of [0.3, 0.7, 0.999]) {
      const file = await fileOf("a.jsonl", whole.subarray(0, Math.floor(whole.length * share)));
      await rejects(readFile(file), { code: "data-invalid", message: /Cannot undo/ });
    }
  });
}

Deno.test("a zstd frame that asks for gigabytes is refused before they are taken", async () => {
  const file = await fileOf("a", Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0, 0xf8, 1, 0, 0));
  await rejects(detectKind(file), { code: "data-invalid", message: /window/ });
});

Deno.test("JSON lines: CRLF, a mark, blank lines and a missing last break", async () => {
  const file = await fileOf("a.jsonl", `\ufeff{"a":1}\r\n\r\n   \n{"a":2}`);
  const read = await readFile(file);
  deepEqual(values(read), [{ a: 1 }, { a: 2 }]);
  deepEqual(lines(read), [1, 4]);
});

Deno.test("JSON lines: each bad one is told by its line, the others are read", async () => {
  const bad = new Uint8Array([
    ...bytes('{"a":1}\n{"a":\n[1]\n"'),
    0xff,
    ...bytes('"\n{"a":"\0"}\n{"b":"\\u0000"}\n'),
  ]);
  const read = await readAll(jsonLines(inPieces(bad, 7), "d"));
  deepEqual(lines(read), [1, 6]);
  deepEqual(read.faults.map(({ place }) => place.line), [2, 3, 4, 5]);
  ok(read.faults.every(({ code }) => code === "data-invalid"));
});

Deno.test("JSON lines and arrays in pieces of any size are as a whole", async () => {
  const row = fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 }), { maxKeys: 3 });
  await fc.assert(
    fc.asyncProperty(
      fc.array(row, { minLength: 1, maxLength: 6 }),
      fc.integer({ min: 1, max: 40 }),
      fc.constantFrom(undefined, 2),
      async (rows, size, indent) => {
        const expected = rows.map((one) => JSON.parse(JSON.stringify(one)));
        const text = rows.map((one) => JSON.stringify(one)).join("\n");
        const whole = JSON.stringify(rows, null, indent);
        deepEqual(values(await readAll(jsonLines(inPieces(bytes(text), size), "d"))), expected);
        deepEqual(values(await readAll(jsonArray(inPieces(bytes(whole), size), "d"))), expected);
      },
    ),
    { seed: 12, numRuns: 150 },
  );
});

Deno.test("a JSON array names an element's line and number", async () => {
  const read = await readAll(
    jsonArray(inPieces(bytes('[\n{"a":1},\n"x",\n{"a":\n}\n]\n'), 4), "d"),
  );
  deepEqual(lines(read), [2]);
  deepEqual(read.faults.map(({ place }) => place), [
    { file: "d", line: 3, field: "[1]" },
    { file: "d", line: 4, field: "[2]" },
  ]);
});

Deno.test.each([
  { text: '[{"a":1},', message: /not closed/ },
  { text: '[{"a":1}', message: /not closed/ },
  { text: '[{"a":"]', message: /not closed/ },
  { text: '[{"a":1} {"a":2}]', message: /"\{" stands between/ },
  { text: '[{"a":1}],', message: /"," stands between/ },
  { text: '[{"a":1}, 3]', message: /no object/ },
])("the JSON array $text is refused", async ({ text, message }) => {
  await rejects(readAll(jsonArray(inPieces(bytes(text), 3), "d")), {
    code: "data-invalid",
    message,
  });
});

Deno.test("an element of deep nesting is read or refused, never more", async () => {
  const deep = `{"a":${"[".repeat(200_000)}${"]".repeat(200_000)}}`;
  const read = await readAll(jsonArray(inPieces(bytes(`[${deep},{"b":1}]`), 65_536), "d"));
  equal(read.rows.length + read.faults.length, 2);
});

Deno.test("a row without an end is refused before it fills the memory", async () => {
  const piece = new Uint8Array(1 << 20).fill(0x61);
  let given = 0;
  async function* endless(first: string): AsyncGenerator<Uint8Array, void> {
    yield bytes(first);
    for (;; given += piece.length) yield await Promise.resolve(piece);
  }
  for (
    const read of [
      () => readAll(jsonLines(endless('{"a":"'), "d")),
      () => readAll(jsonArray(endless('[{"a":"'), "d")),
      () => readAll(csvRows(endless("a,b\n"), "d")),
    ]
  ) {
    given = 0;
    await rejects(read(), { code: "data-invalid", message: /longer than/ });
    ok(given <= MAX_ROW_BYTES + 2 * piece.length, `${given}`);
  }
});

Deno.test("CSV: quotes, line breaks in cells, CRLF, semicolons, lines counted", async () => {
  const text = '\ufeffinstruction,output\r\n"a, ""b""","two\r\nlines"\r\n\r\nc,d\n';
  const read = await readFile(await fileOf("a.csv", text));
  deepEqual(values(read), [
    { instruction: 'a, "b"', output: "two\r\nlines" },
    { instruction: "c", output: "d" },
  ]);
  deepEqual(lines(read), [2, 5]);
  const semicolons = await readFile(await fileOf("a.csv", "text;n\na,b;1\n"));
  deepEqual(values(semicolons), [{ text: "a,b", n: "1" }]);
});

Deno.test("CSV: a row of another width is bad, the others are read", async () => {
  const read = await readFile(await fileOf("a.csv", "a,b\n1,2\n1,2,3\n1\n3,4\n"));
  deepEqual(lines(read), [2, 5]);
  deepEqual(read.faults.map(({ place }) => place.line), [3, 4]);
});

Deno.test("CSV: columns named as the prototype are columns", async () => {
  const read = await readFile(await fileOf("a.csv", "__proto__,text\nx,y\n"));
  ok(Object.hasOwn(read.rows[0].value as object, "__proto__"));
  equal(Object.getPrototypeOf(read.rows[0].value), Object.prototype);
});

Deno.test("CSV: MMLU's files without a header", async () => {
  const [row] = values(await readFile(await fileOf("a", '"1,1?",1,2,3,4,B\n')));
  deepEqual(row, { question: "1,1?", A: "1", B: "2", C: "3", D: "4", answer: "B" });
});

Deno.test.each([
  { what: "an open quote", text: 'a,b\n1,"x\n2,3\n', message: /Quote Not Closed/ },
  { what: "a quote in a cell", text: 'a,b\n1,x"y"\n', message: /Invalid Opening Quote/ },
  { what: "columns of one name", text: "a,a\n1,2\n", message: /two are named "a"/ },
  { what: "a zero byte", text: "a,b\n1,2\n3,\0\n", message: /a byte is 0/ },
])("CSV with $what is refused", async ({ text, message }) => {
  await rejects(readFile(await fileOf("a.csv", text)), { code: "data-invalid", message });
});

Deno.test("CSV: a byte that is no UTF-8 is told by its line", async () => {
  const file = await fileOf("a.csv", new Uint8Array([...bytes("a,b\n1,2\n3,"), 0xc3, 0x0a]));
  await rejects(readFile(file), { code: "data-invalid", place: { file, line: 3 } });
});

Deno.test("Parquet: rows of all groups, whole numbers, nulls", async () => {
  const read = await readFile(await fileOf("a.parquet", parquet));
  const known = values(read) as { input?: string | null }[];
  deepEqual(known.map(({ input, ...row }) => ({ ...row, input: input ?? null })), [
    { instruction: "Add", output: "2", id: 1, input: "1+1" },
    { instruction: "Say", output: "no", id: 2, input: null },
    { instruction: "Count", output: "1 2 3", id: 3, input: null },
  ]);
  deepEqual(lines(read), [1, 2, 3]);
});

Deno.test("Parquet that is cut off anywhere is an error", async () => {
  for (let at = 4; at < parquet.length; at += 61) {
    const file = await fileOf("a.parquet", parquet.subarray(0, at));
    await rejects(readFile(file), { code: "data-invalid", message: /Parquet/ });
  }
});

Deno.test("Parquet whose page does not say its size is an error, not a loop without end", async () => {
  const changed = parquet.slice();
  changed[11] = 0;
  const file = await fileOf("a.parquet", changed);
  await rejects(readFile(file), { code: "data-invalid", message: /a page is not sound/ });
});

Deno.test("UTF-16 is named as such", async () => {
  const file = await fileOf("a.jsonl", Uint8Array.of(0xff, 0xfe, 0x7b, 0));
  await rejects(detectKind(file), { code: "data-invalid", message: /UTF-16/ });
});

Deno.test("a text comes in sections that make it up again, each beginning a line", async () => {
  const text = fc.string({ unit: fc.constantFrom("a", " ", "\n", "ü"), maxLength: 60 });
  await fc.assert(
    fc.asyncProperty(text, fc.integer({ min: 1, max: 9 }), async (text, size) => {
      const sections: { text: string; line: number }[] = [];
      for await (const one of textSections(inPieces(bytes(text), size), "d", { length: 5 })) {
        sections.push(one);
      }
      equal(sections.map((one) => one.text).join(""), text);
      let line = 1;
      for (const one of sections) {
        equal(one.line, line);
        line += one.text.split("\n").length - 1;
      }
    }),
    { seed: 14 },
  );
});

Deno.test("a file that is none, and a folder for a file, are errors of the system", async () => {
  await rejects(detectKind("/nowhere/at/all"), { code: "io" });
  await rejects(detectKind("/"), { code: "io" });
});

Deno.test("Parquet with a byte that is another one is rows or an error, within seconds", async () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  let state = seed;
  const random = (below: number) => (state = (state * 48271 + 1) % 2147483647) % below;
  const folder = await filesIn({});
  const trials = Array.from({ length: 48 }, (_, i) => i);
  let damaged = 0;
  const trial = async (number: number) => {
    const changed = parquet.slice();
    for (let flips = 1 + random(2); flips > 0; flips--) {
      changed[random(changed.length)] ^= 1 << random(8);
    }
    const file = join(folder, `${number}.parquet`);
    Deno.writeFileSync(file, changed);
    const began = performance.now();
    try {
      for await (const _ of parquetRows(file, { patience: 700 })) { /* to the end */ }
    } catch (error) {
      damaged++;
      ok(error instanceof PacacError && error.code === "data-invalid", `${error}, seed ${seed}`);
      equal(error.place.file, file);
      match(error.format(), /Cannot read Parquet: .*\n {2}help: /s);
    }
    const seconds = (performance.now() - began) / 1000;
    ok(seconds < 30, `${seconds} s, seed ${seed}`);
  };
  while (trials.length > 0) await Promise.all(trials.splice(0, 4).map(trial));
  ok(damaged > 5, `${damaged} were found, seed ${seed}`);
});

Deno.test("Parquet: a page that its library goes round in for ever is told with file and row group", async () => {
  const changed = parquet.slice();
  changed[120] ^= 4;
  const file = await fileOf("a.parquet", changed);
  const began = performance.now();
  const read = async () => {
    for await (const _ of parquetRows(file, { patience: 1000 })) { /* never the end */ }
  };
  await rejects(read(), (error) => {
    ok(error instanceof PacacError);
    match(error.format(), /a\.parquet \(row group 0\): Cannot read Parquet: no progress in 1 s/);
    return true;
  });
  ok(performance.now() - began < 30_000);
});

Deno.test("Parquet: Ctrl-C ends the reading at once, and the thread", async () => {
  const file = await fileOf("a.parquet", parquet);
  const stop = new AbortController();
  const rows = parquetRows(file, { signal: stop.signal });
  await rows.next();
  stop.abort();
  await rejects(readAllOf(rows), { name: "AbortError" });
});

async function readAllOf(rows: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of rows) { /* to the end */ }
}
