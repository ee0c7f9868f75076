/**
 * Writes text with a program of its own: keys and values of the text so far are cached, and a token costs one reading of the weights.
 *
 * What a caller gives is always the whole text; the decoder knows how much of it is in its caches and computes the rest, many tokens
 * at once where there are many. An adapter's columns are switched by one number, so the base model comes back to the bit.
 * @module
 */
import { must, PacacError } from "../errors.ts";
import { loadAdapter } from "./adapter.ts";
import type { DecodeEngine, ProgramInfo } from "./engine.ts";
import type { TextModel } from "./generate.ts";
import { fillModel, type LoadOptions } from "./load.ts";
import { floats, scaleOf } from "./program.ts";

/** With fewer new tokens than this, one at a time is faster than a prefill that is mostly padding. */
const WORTH_A_PREFILL = 8;

/** A model that writes text, with a cache of what it has read. */
export class Decoder implements TextModel {
  /** What the program is. */
  readonly info: ProgramInfo;
  /** Where the weights came from, where they came from files. */
  readonly weights: string | undefined;
  readonly #engine: DecodeEngine;
  readonly #prefillTokens: number;
  #adapted = false;
  #hasAdapter: boolean;
  /** Tokens whose keys and values are in the caches. */
  #cached: number[] = [];
  #last: Promise<unknown> = Promise.resolve();

  /**
   * Wraps a filled program; {@linkcode loadDecoder} fills one.
   * @param engine A program whose weights are filled
   * @param options Where the weights came from, whether an adapter is filled in
   */
  constructor(
    engine: DecodeEngine,
    options: { readonly weights?: string; readonly adapter?: boolean } = {},
  ) {
    this.info = engine.info;
    this.weights = options.weights;
    this.#engine = engine;
    const ids = engine.info.tensors.find(({ name }) => name === "prefill_ids");
    this.#prefillTokens = must(ids, "prefill_ids").shape[0];
    this.#hasAdapter = options.adapter === true;
    this.#switch(this.#hasAdapter);
  }

  /** Most tokens of a text: the length of its caches. */
  get contextLength(): number {
    return this.info.seqLen;
  }

  /** Whether an adapter is there to be switched on. */
  get hasAdapter(): boolean {
    return this.#hasAdapter;
  }

  /** Whether the adapter is switched on. */
  get adapterOn(): boolean {
    return this.#adapted;
  }

  /**
   * Switches the adapter on or off. What was read is read anew then: its keys and values were the other model's.
   * @param on Whether the next tokens are the adapted model's
   * @throws {PacacError} usage, where there is no adapter
   */
  setAdapter(on: boolean): void {
    if (on && !this.#hasAdapter) {
      throw new PacacError("usage", "Cannot switch the adapter on: there is none", {
        remedy: "name one with --adapter DIR",
      });
    }
    if (on !== this.#adapted) this.#switch(on);
  }

  /**
   * Takes over an adapter folder, in any of its forms, and switches it on.
   * @param folder The adapter
   * @throws {PacacError} adapter-invalid, safetensors-invalid, io, usage
   */
  loadAdapter(folder: string): void {
    loadAdapter(this.#engine, folder, { weights: this.weights });
    this.#hasAdapter = true;
    this.#switch(true);
  }

  /** Forgets what was read. */
  reset(): void {
    this.#cached = [];
  }

  /**
   * How many of a text's first tokens are cached.
   * @param ids The text
   */
  known(ids: readonly number[]): number {
    const most = Math.min(ids.length, this.#cached.length);
    let known = 0;
    while (known < most && ids[known] === this.#cached[known]) known++;
    return known;
  }

  /**
   * Logits [vocab] of the token that follows a text; undefined where `signal` was aborted before they were there.
   * @param ids All of the text
   * @param signal Ends the reading of a long text early
   * @throws {PacacError} usage, where the text is empty or longer than the caches; batch-invalid, for an id that the model has not
   */
  next(ids: readonly number[], signal?: AbortSignal): Promise<Float32Array | undefined> {
    const result = this.#last.then(() => this.#next([...ids], signal));
    this.#last = result.catch(() => undefined);
    return result;
  }

  /** Waits for calls under way and frees the native memory. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#last;
    this.#engine.dispose();
  }

  async #next(ids: readonly number[], signal?: AbortSignal): Promise<Float32Array | undefined> {
    this.#check(ids);
    // The last token is read again even where it is cached: its logits are not.
    const known = Math.min(this.known(ids), ids.length - 1);
    this.#cached.length = known;
    while (ids.length - 1 - this.#cached.length >= WORTH_A_PREFILL) {
      if (signal?.aborted === true) return undefined;
      const from = this.#cached.length;
      await this.#prefill(ids.slice(from, Math.min(from + this.#prefillTokens, ids.length - 1)));
    }
    while (this.#cached.length < ids.length) {
      if (signal?.aborted === true) return undefined;
      await this.#decode(ids[this.#cached.length]);
    }
    return floats(this.#engine.read("logits"));
  }

  /** Reads some tokens at once; the places behind the last repeat it, and are not stored. */
  async #prefill(ids: readonly number[]): Promise<void> {
    const at = this.#cached.length, last = ids.length - 1;
    const places = { length: this.#prefillTokens };
    const engine = this.#engine;
    engine.write("prefill_ids", Int32Array.from(places, (_, t) => ids[Math.min(t, last)]));
    engine.write("prefill_position", Int32Array.from(places, (_, t) => at + Math.min(t, last)));
    engine.write("prefill_count", Int32Array.of(ids.length));
    await engine.run("prefill");
    this.#cached.push(...ids);
  }

  async #decode(id: number): Promise<void> {
    this.#engine.write("decode_ids", Int32Array.of(id));
    this.#engine.write("decode_position", Int32Array.of(this.#cached.length));
    await this.#engine.run("decode");
    this.#cached.push(id);
  }

  #check(ids: readonly number[]): void {
    if (ids.length === 0) {
      throw new PacacError("usage", "Cannot go on with the text: it has no token", {
        remedy: "give a prompt of a word at least",
      });
    }
    if (ids.length > this.contextLength) {
      throw new PacacError(
        "usage",
        `Cannot read the text: its ${ids.length} tokens do not fit a context of ${this.contextLength}`,
        { remedy: "shorten it, or compile for a longer one (--context)" },
      );
    }
    const { vocabSize } = this.info;
    const foreign = ids.find((id) => !(id >= 0 && id < vocabSize));
    if (foreign === undefined) return;
    throw new PacacError(
      "batch-invalid",
      `Cannot read the text: ${foreign} is no id of the model's`,
      {
        place: { field: "ids" },
        remedy: `use the model's own tokenizer, with ids below ${vocabSize}`,
      },
    );
  }

  #switch(on: boolean): void {
    this.#adapted = on;
    this.#cached = [];
    if (!this.info.tensors.some(({ name }) => name === "adapter_scale")) return;
    this.#engine.write("adapter_scale", Float32Array.of(on ? scaleOf(this.info) : 0));
  }
}

/**
 * Fills a program that writes text and makes its decoder. Where it fails, the engine is disposed of.
 * @param engine The program, empty
 * @param options Where weights and adapter are
 * @throws {PacacError} model-not-found, weights-mismatch, safetensors-invalid, adapter-invalid, io
 */
export function loadDecoder(engine: DecodeEngine, options: LoadOptions = {}): Promise<Decoder> {
  return Promise.resolve().then(() => {
    try {
      const weights = fillModel(engine, options);
      return new Decoder(engine, {
        ...(weights === undefined ? {} : { weights }),
        adapter: options.adapter !== undefined,
      });
    } catch (error) {
      engine.dispose();
      throw error;
    }
  });
}
