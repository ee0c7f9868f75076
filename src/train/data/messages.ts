/**
 * Conversations: rows of {messages: [{role, content}, …]}. Only the assistant's turns are trained on.
 * @module
 */
import { PacacError } from "../../errors.ts";
import { isObject, kindOf } from "../json.ts";
import type { Message, Tokenizer } from "../tokenizer.ts";
import { supervise } from "./chat.ts";
import type { Conversation, Document } from "./document.ts";
import { fieldOf, readRows, type Row, textField } from "./rows.ts";

/**
 * The documents of a file of conversations.
 * @param text The file's text
 * @param file The file's name, for messages
 * @param tokenizer The model's tokenizer, with a chat template
 * @throws {PacacError} data-invalid, tokenizer-invalid
 */
export function readMessages(text: string, file: string, tokenizer: Tokenizer): Document[] {
  return readRows(text, file).map((row) => supervise(conversation(row), tokenizer));
}

function conversation({ value, place }: Row): Conversation {
  const field = Object.hasOwn(value, "messages") ? value.messages : undefined;
  if (!Array.isArray(field) || field.length === 0) {
    const state = Array.isArray(field) ? "empty" : `${kindOf(field)}, no array`;
    throw new PacacError("data-invalid", `Cannot use the row: "messages" is ${state}`, {
      place: fieldOf(place, "messages"),
      remedy: 'give it turns: [{"role": "user", "content": "…"}, {"role": "assistant", …}]',
    });
  }
  const turns: unknown[] = field;
  const messages = turns.map((turn, i): Message => {
    const at = fieldOf(place, `messages[${i}]`);
    if (!isObject(turn)) {
      throw new PacacError("data-invalid", `Cannot use the row: a turn is ${kindOf(turn)}`, {
        place: at,
        remedy: "make each turn an object of role and content",
      });
    }
    return {
      role: textField(turn, "role", { place: at }),
      content: textField(turn, "content", { place: at }),
    };
  });
  if (messages.some(({ role }) => role === "assistant")) return { messages, place };
  throw new PacacError("data-invalid", "Cannot use the row: no turn has the role assistant", {
    place: fieldOf(place, "messages"),
    remedy: "add an answer to learn, or remove the row",
  });
}
