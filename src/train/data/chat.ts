/**
 * Marks the assistant's turns of a conversation: the mask is what decides what a model learns, so it is proved.
 *
 * For the turn at i, P = template(turns before i, with the invitation to answer) and F = template(turns up to i). P must begin F,
 * and F must begin the whole text W; the turn's answer is then W from |P| to |F|. Ids are those of W as one text where the
 * tokens of each P and F begin the tokens of W. Where an answer's first character merges with the prompt's last token
 * (an answer that begins with a space), W is tokenised in pieces cut at the answers instead: that is what the model sees
 * when it generates, for the prompt is tokenised alone then.
 * @module
 */
import { PacacError, type Place } from "../../errors.ts";
import { messageOf } from "../json.ts";
import type { Tokenizer } from "../tokenizer.ts";
import {
  type Conversation,
  type Document,
  joinPieces,
  type Piece,
  type ReadContext,
} from "./document.ts";
import { fieldOf } from "./rows.ts";
import { withToolsAsText } from "./tools.ts";

/** What {@linkcode supervise} is given beside the conversation. */
export interface SuperviseOptions extends Pick<ReadContext, "tokenizer" | "trainOn"> {
  /** The first turn that may be trained on. */
  readonly from?: number;
}

/** The range of characters of an answer in the whole text. */
interface Answer {
  readonly begin: number;
  readonly end: number;
}

/**
 * The tokens of a conversation, with the assistant's turns (their end-of-turn token included) marked: all of them, the last, or
 * with `everything` every token.
 * @param given Turns, of which one at least is the assistant's
 * @param options A tokenizer with a chat template, and what is trained on
 * @throws {PacacError} data-invalid, tokenizer-invalid
 */
export function supervise(given: Conversation, options: SuperviseOptions): Document {
  const { tokenizer, trainOn = "answers", from = 0 } = options;
  const conversation = withToolsAsText(given, tokenizer);
  const { messages, place } = conversation;
  const whole = render(tokenizer, conversation, { place });
  const ids = tokenizer.encode(whole);
  if (trainOn === "everything") return { ids, supervised: new Uint8Array(ids.length).fill(1) };
  // A system turn that was added for tools is in front.
  const first = from + messages.length - given.messages.length;
  const turns = messages.flatMap(({ role }, i) => role === "assistant" && i >= first ? [i] : []);
  const answers = (trainOn === "last" ? turns.slice(-1) : turns)
    .map((i) => answerAt(i, conversation, { tokenizer, whole }));
  const document = markWhole(ids, { whole, answers, tokenizer }) ??
    cutApart(ids, { whole, answers, tokenizer, place });
  dropTrailingSpace(document, tokenizer);
  return document;
}

function render(
  tokenizer: Tokenizer,
  { messages, tools }: Pick<Conversation, "messages" | "tools">,
  { place, generationPrompt = false }: { place: Place; generationPrompt?: boolean },
): string {
  try {
    return tokenizer.chat(messages, {
      generationPrompt,
      ...(tools === undefined ? {} : { tools }),
    });
  } catch (cause) {
    if (!(cause instanceof PacacError) || !tokenizer.hasChatTemplate) throw cause;
    throw new PacacError("data-invalid", `Cannot use the row: ${messageOf(cause)}`, {
      place,
      remedy: cause.remedy,
      cause,
    });
  }
}

function answerAt(
  index: number,
  { messages, tools, place }: Conversation,
  { tokenizer, whole }: { tokenizer: Tokenizer; whole: string },
): Answer {
  const at = fieldOf(place, `messages[${index}]`);
  const upTo = (end: number) => ({
    messages: messages.slice(0, end),
    ...(tools === undefined ? {} : { tools }),
  });
  const prompt = render(tokenizer, upTo(index), { place: at, generationPrompt: true });
  const through = render(tokenizer, upTo(index + 1), { place: at });
  requirePrefix(prompt, through, at);
  requirePrefix(through, whole, at);
  return { begin: prompt.length, end: through.length };
}

function requirePrefix(prefix: string, text: string, place: Place): void {
  if (text.startsWith(prefix)) return;
  const [before, after] = aroundDifference(prefix, text);
  throw new PacacError(
    "data-invalid",
    `Cannot mask the answer: the chat template writes ${before} before it is given, ` +
      `and ${after} after`,
    {
      place,
      remedy: "use a template that writes earlier turns the same way each time, or end the row " +
        "with this turn; --train-on last needs the last answer alone",
    },
  );
}

/** Both texts around the first character in which they differ, quoted. */
function aroundDifference(one: string, other: string): [string, string] {
  let same = 0;
  while (same < one.length && one[same] === other[same]) same++;
  const excerpt = (from: string) => JSON.stringify(from.slice(Math.max(0, same - 20), same + 20));
  return [excerpt(one), excerpt(other)];
}

/** Marks answers in the tokens of the whole text; nothing where a token crosses a border. */
function markWhole(
  ids: Int32Array,
  given: { whole: string; answers: readonly Answer[]; tokenizer: Tokenizer },
): Document | undefined {
  const { whole, answers, tokenizer } = given;
  const supervised = new Uint8Array(ids.length);
  for (const { begin, end } of answers) {
    const prompt = tokenizer.encode(whole.slice(0, begin));
    const through = end === whole.length ? ids : tokenizer.encode(whole.slice(0, end));
    if (!begins(ids, prompt) || !begins(ids, through)) return undefined;
    supervised.fill(1, prompt.length, through.length);
  }
  return { ids, supervised };
}

function begins(ids: Int32Array, prefix: Int32Array): boolean {
  return prefix.length <= ids.length && prefix.every((id, i) => ids[i] === id);
}

/** Tokens of the text in pieces cut at the answers; they must still be the text's. */
function cutApart(
  ids: Int32Array,
  given: { whole: string; answers: readonly Answer[]; tokenizer: Tokenizer; place: Place },
): Document {
  const { whole, answers, tokenizer, place } = given;
  const document = joinPieces(cut(whole, answers, tokenizer));
  const [cutText, wholeText] = [tokenizer.decode(document.ids), tokenizer.decode(ids)];
  if (cutText === wholeText) return document;
  const [one, other] = aroundDifference(cutText, wholeText);
  throw new PacacError(
    "data-invalid",
    `Cannot mask the answers: tokens cross their borders, cut there they are ${one}, ` +
      `whole ${other}`,
    { place, remedy: "remove spaces at the beginning and the end of the answers" },
  );
}

function cut(whole: string, answers: readonly Answer[], tokenizer: Tokenizer): Piece[] {
  const pieces: Piece[] = [];
  let at = 0;
  const add = (end: number, supervised: boolean) => {
    if (end > at) pieces.push({ ids: tokenizer.encode(whole.slice(at, end)), supervised });
    at = end;
  };
  for (const { begin, end } of answers) {
    add(begin, false);
    add(end, true);
  }
  add(whole.length, false);
  return pieces;
}

/** Templates write a line break behind the end-of-turn token; generation stops at the token, so the break is not learnt. */
function dropTrailingSpace({ ids, supervised }: Document, tokenizer: Tokenizer): void {
  const { eosId } = tokenizer;
  for (let i = ids.length - 1; i > 0; i--) {
    const ends = supervised[i] === 1 && supervised[i + 1] !== 1;
    if (!ends || ids[i] === eosId) continue;
    if (ids[i - 1] === eosId && tokenizer.decode([ids[i]]).trim() === "") supervised[i] = 0;
  }
}
