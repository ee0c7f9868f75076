/**
 * Helpers of the format tests: temporary folders, hand-made safetensors bytes, and the error that must come.
 * @module
 */
import assert from "node:assert/strict";
import { type ErrorCode, PacacError } from "../../src/errors.ts";
import { fromFloat32, type TensorToWrite } from "../../src/formats/mod.ts";

/** A folder that goes away with the test. */
export class TempFolder implements Disposable {
  readonly path = Deno.makeTempDirSync({ prefix: "pacac-formats-" });

  file(name: string): string {
    return `${this.path}/${name}`;
  }

  write(name: string, content: string | Uint8Array | object): string {
    const file = this.file(name);
    Deno.mkdirSync(file.slice(0, file.lastIndexOf("/")), { recursive: true });
    if (content instanceof Uint8Array) Deno.writeFileSync(file, content);
    else {Deno.writeTextFileSync(
        file,
        typeof content === "string" ? content : JSON.stringify(content),
      );}
    return file;
  }

  names(): string[] {
    return [...Deno.readDirSync(this.path)].map(({ name }) => name).sort();
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.path, { recursive: true });
  }
}

/** A safetensors file of any header and any data. */
export function rawSafetensors(header: string | object, data: number | Uint8Array): Uint8Array {
  const text = new TextEncoder().encode(
    typeof header === "string" ? header : JSON.stringify(header),
  );
  const bytes = typeof data === "number" ? new Uint8Array(data) : data;
  const out = new Uint8Array(8 + text.length + bytes.length);
  new DataView(out.buffer).setBigUint64(0, BigInt(text.length), true);
  out.set(text, 8);
  out.set(bytes, 8 + text.length);
  return out;
}

/** A float tensor to write. */
export function f32(
  name: string,
  shape: readonly number[],
  values: readonly number[],
): TensorToWrite {
  return { name, dtype: "F32", shape, bytes: fromFloat32(Float32Array.from(values), "F32") };
}

/** Runs what must fail, and checks the code and a part of the text. */
export function assertFails(
  run: () => unknown,
  code: ErrorCode,
  part: string | RegExp,
): PacacError {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof PacacError, `not a PacacError: ${error}`);
    assert.equal(error.code, code, error.format());
    assert.match(error.format(), typeof part === "string" ? new RegExp(escape(part)) : part);
    return error;
  }
  return assert.fail("nothing was thrown");
}

function escape(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
