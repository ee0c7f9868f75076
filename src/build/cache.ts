/**
 * The cache of what building makes: object files, addons, formatted texts, measurements, keyed by hashes of all they depend on.
 *
 * Entries are published by renaming a finished file, so that two builds at once, or one killed midway, never leave half an entry.
 * @module
 */
import { createHash } from "node:crypto";
import { PacacError } from "../errors.ts";
import { cacheFolder } from "../knobs.ts";

/** Hex digits of a key: 128 bits. */
const KEY_DIGITS = 32;

/**
 * A key of everything given, in order.
 * @param parts Texts; where one ends and the next begins counts too
 */
export function keyOf(...parts: readonly string[]): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(`${part.length}:`).update(part);
  return hash.digest("hex").slice(0, KEY_DIGITS);
}

/** A folder of files by key. */
export class Cache {
  /** Where it lies. */
  readonly folder: string;
  #names = 0;

  /** @param folder Where it lies; made on first use */
  constructor(folder: string = cacheFolder()) {
    this.folder = folder;
  }

  /**
   * Where an entry lies, whether it is there or not.
   * @param key Its key
   * @param extension With the dot
   */
  path(key: string, extension: string): string {
    return `${this.folder}/${key.slice(0, 2)}/${key.slice(2)}${extension}`;
  }

  /**
   * Whether an entry is there.
   * @param path What {@linkcode Cache.path} gave
   */
  has(path: string): boolean {
    try {
      return Deno.statSync(path).isFile;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return false;
      throw failure(path, error);
    }
  }

  /**
   * A name beside an entry to make it under, in a folder that is there.
   * @param path The entry
   */
  temporary(path: string): string {
    try {
      Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true });
    } catch (error) {
      throw failure(path, error);
    }
    // Several caches of one process may make the same entry at once.
    return `${path}.${Deno.pid}-${this.#names++}-${crypto.randomUUID().slice(0, 8)}.part`;
  }

  /**
   * Makes a finished file an entry.
   * @param temporary The file
   * @param path The entry
   */
  publish(temporary: string, path: string): void {
    try {
      using file = Deno.openSync(temporary, { read: true, write: true });
      file.syncSync();
      Deno.renameSync(temporary, path);
    } catch (error) {
      throw failure(path, error);
    }
  }

  /**
   * The text kept under a key, or what `make` gives, which is then kept.
   * @param key Any text
   * @param make Makes it
   */
  text(key: string, make: () => string): string {
    const path = this.path(keyOf("text", key), ".txt");
    return readSealed(path) ?? this.#keep(path, make());
  }

  /**
   * The same where making takes its time.
   * @param key Any text
   * @param make Makes it
   */
  async textLater(key: string, make: () => Promise<string>): Promise<string> {
    const path = this.path(keyOf("text", key), ".txt");
    return readSealed(path) ?? this.#keep(path, await make());
  }

  #keep(path: string, text: string): string {
    const temporary = this.temporary(path);
    Deno.writeTextFileSync(temporary, `${keyOf(text)}\n${text}`);
    this.publish(temporary, path);
    return text;
  }
}

/** A kept text, unless it is missing or its seal is broken (a full disk, a crash of the machine). */
function readSealed(path: string): string | undefined {
  let content: string;
  try {
    content = Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw failure(path, error);
  }
  const text = content.slice(KEY_DIGITS + 1);
  return content.slice(0, KEY_DIGITS) === keyOf(text) ? text : undefined;
}

function failure(path: string, cause: unknown): PacacError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new PacacError("io", `Cannot use the build cache: ${why}`, {
    place: { file: path },
    remedy: "set PACAC_CACHE to a folder that can be written",
    cause,
  });
}
