/**
 * Conversations in ShareGPT's form: rows of {conversations: [{from, value}, …], system?, tools?}.
 * @module
 */
import { PacacError } from "../../errors.ts";
import { isObject, kindOf } from "../json.ts";
import type { Message } from "../tokenizer.ts";
import { supervise } from "./chat.ts";
import type { Document, ReadContext } from "./document.ts";
import { itemsOf, requireAnswer, toolsOf } from "./messages.ts";
import { fieldOf, fieldValue, placeOf, type Row, textField } from "./rows.ts";

/** Who speaks, in the words that are about, and the role that templates know. */
const ROLES: ReadonlyMap<string, string> = new Map([
  ["human", "user"],
  ["user", "user"],
  ["gpt", "assistant"],
  ["assistant", "assistant"],
  ["chatgpt", "assistant"],
  ["model", "assistant"],
  ["bing", "assistant"],
  ["bard", "assistant"],
  ["function_call", "assistant"],
  ["system", "system"],
  ["observation", "tool"],
  ["function_response", "tool"],
  ["tool", "tool"],
]);

/**
 * The document of a conversation. A turn from `function_call` is an answer whose text is the call.
 * @param row The row
 * @param context A tokenizer with a chat template, and what is trained on
 * @throws {PacacError} data-invalid, tokenizer-invalid
 */
export function readSharegpt(row: Row, context: ReadContext): Document[] {
  const shown = row.names?.get("conversations") ?? "conversations";
  const messages = itemsOf(row, "conversations").map((turn, i): Message => {
    const place = fieldOf(row.place, `${shown}[${i}]`);
    if (isObject(turn)) return message({ value: turn, place });
    throw new PacacError("data-invalid", `Cannot use the row: a turn is ${kindOf(turn)}`, {
      place,
      remedy: "make each turn an object of from and value",
    });
  });
  const system = textField(row, "system", { missing: "" });
  if (system !== "") messages.unshift({ role: "system", content: system });
  requireAnswer(messages, row, "conversations");
  return [supervise({ messages, place: row.place, ...toolsOf(row) }, context)];
}

function message(turn: Row): Message {
  // Some files of this form have the field names of the other.
  const speaker = fieldValue(turn, "from") === undefined ? "role" : "from";
  const from = textField(turn, speaker);
  const role = ROLES.get(from);
  if (role === undefined) {
    throw new PacacError("data-invalid", `Cannot use the row: nobody knows who "${from}" is`, {
      place: placeOf(turn, speaker),
      remedy: `say one of ${[...ROLES.keys()].join(", ")}`,
    });
  }
  const content = textField(turn, fieldValue(turn, "value") === undefined ? "content" : "value");
  if (from !== "function_call") return { role, content };
  return { role, content: `<tool_call>\n${content}\n</tool_call>` };
}
