/**
 * How text is cut before byte-level BPE: tokenizer.json spells it out, a GGUF file names it (`tokenizer.ggml.pre`).
 *
 * Only cuts that are known to be the same on both sides are in the table; another one is refused, since a wrong name
 * gives other tokens without a word.
 * @module
 */
import { z } from "zod";

/** Cuts of llama 3: words, numbers of up to three digits, punctuation, line ends. */
const LLAMA3 = String
  .raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`;
/** Cuts of Qwen 2: the same with digits one by one. */
const QWEN2 = LLAMA3.replace("{1,3}", "");

/** A way to cut. */
export interface PreTokenizer {
  /** Its name in GGUF files. */
  readonly name: string;
  /** Its steps, as {@linkcode stepsOf} describes them. */
  readonly steps: readonly string[];
  /** tokenizer.json's normalizer that goes with it. */
  readonly normalizer: unknown;
}

const BYTES = "ByteLevel";
const BYTES_AND_WORDS = "ByteLevel, words";

/** What is known. */
export const PRE_TOKENIZERS: readonly PreTokenizer[] = [
  { name: "gpt-2", steps: [BYTES_AND_WORDS], normalizer: null },
  { name: "smollm", steps: ["Digits", BYTES_AND_WORDS], normalizer: null },
  { name: "llama-bpe", steps: [LLAMA3, BYTES], normalizer: null },
  { name: "qwen2", steps: [QWEN2, BYTES], normalizer: { type: "NFC" } },
];

const stepSchema = z.discriminatedUnion("type", [
  z.looseObject({
    type: z.literal("ByteLevel"),
    add_prefix_space: z.literal(false),
    use_regex: z.boolean().default(true),
  }),
  z.looseObject({ type: z.literal("Digits"), individual_digits: z.literal(true) }),
  z.looseObject({
    type: z.literal("Split"),
    pattern: z.object({ Regex: z.string() }),
    behavior: z.literal("Isolated"),
    invert: z.literal(false).default(false),
  }),
]);
const sequenceSchema = z.looseObject({
  type: z.literal("Sequence"),
  pretokenizers: z.array(stepSchema),
});

/**
 * The steps of a tokenizer.json's `pre_tokenizer`, each a text: a Split's pattern, or the name of another kind.
 * @param json The field's value
 * @returns undefined where a step is of a kind that no GGUF name has
 */
function stepsOf(json: unknown): string[] | undefined {
  const sequence = sequenceSchema.safeParse(json);
  const single = stepSchema.safeParse(json);
  const steps = sequence.success
    ? sequence.data.pretokenizers
    : single.success
    ? [single.data]
    : undefined;
  return steps?.map((step) => {
    if (step.type === "Split") return step.pattern.Regex;
    if (step.type === "Digits") return "Digits";
    return step.use_regex ? BYTES_AND_WORDS : BYTES;
  });
}

/**
 * GGUF's name of a tokenizer.json's way to cut; undefined for one that has none.
 * @param json The value of `pre_tokenizer`
 * @param normalizer The value of `normalizer`
 */
export function preTokenizerName(json: unknown, normalizer: unknown): string | undefined {
  const steps = JSON.stringify(stepsOf(json));
  const normal = JSON.stringify(normalizer ?? null);
  return PRE_TOKENIZERS.find((known) =>
    JSON.stringify(known.steps) === steps && JSON.stringify(known.normalizer) === normal
  )?.name;
}

/**
 * A way to cut as tokenizer.json's `pre_tokenizer`.
 * @param known The way
 */
export function preTokenizerJson(known: PreTokenizer): unknown {
  const bytes = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true };
  const pretokenizers = known.steps.map((step) => {
    if (step === BYTES) return { ...bytes, use_regex: false };
    if (step === BYTES_AND_WORDS) return { ...bytes, use_regex: true };
    if (step === "Digits") return { type: "Digits", individual_digits: true };
    return { type: "Split", pattern: { Regex: step }, behavior: "Isolated", invert: false };
  });
  return pretokenizers.length === 1 ? pretokenizers[0] : { type: "Sequence", pretokenizers };
}
