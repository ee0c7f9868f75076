/**
 * Conversations in OpenAI's form: rows of {messages: [{role, content, tool_calls?}, …], tools?}.
 * @module
 */
import { PacacError, type Place } from "../../errors.ts";
import { isObject, type JsonObject, kindOf } from "../json.ts";
import type { Message } from "../tokenizer.ts";
import { supervise } from "./chat.ts";
import type { Document, ReadContext } from "./document.ts";
import { fieldOf, fieldValue, parseJson, placeOf, type Row, textField } from "./rows.ts";

/**
 * The document of a conversation.
 * @param row The row
 * @param context A tokenizer with a chat template, and what is trained on
 * @throws {PacacError} data-invalid, tokenizer-invalid
 */
export function readMessages(row: Row, context: ReadContext): Document[] {
  const messages = turnsOf(row, "messages");
  requireAnswer(messages, row, "messages");
  return [supervise({ messages, place: row.place, ...toolsOf(row) }, context)];
}

/**
 * The turns of a field; in CSV they are JSON text.
 * @param row The row
 * @param name The field
 * @throws {PacacError} data-invalid
 */
export function turnsOf(row: Row, name: string): Message[] {
  const place = placeOf(row, name);
  return itemsOf(row, name).map((turn, i): Message => {
    const at = fieldOf(row.place, `${row.names?.get(name) ?? name}[${i}]`);
    if (isObject(turn)) return message({ value: turn, place: at });
    throw new PacacError("data-invalid", `Cannot use the row: a turn is ${kindOf(turn)}`, {
      place: { ...place, ...at },
      remedy: "make each turn an object of role and content",
    });
  });
}

/**
 * A field that must be a list with something in it, or the JSON text of one.
 * @param row The row
 * @param name The field
 * @throws {PacacError} data-invalid
 */
export function itemsOf(row: Row, name: string): readonly unknown[] {
  const place = placeOf(row, name);
  const value = fieldValue(row, name);
  const field: unknown = typeof value === "string" && value.trimStart().startsWith("[")
    ? parseJson(value, place)
    : value;
  if (Array.isArray(field) && field.length > 0) return field;
  const state = Array.isArray(field) ? "empty" : `${kindOf(field)}, no array`;
  const shown = row.names?.get(name) ?? name;
  throw new PacacError("data-invalid", `Cannot use the row: "${shown}" is ${state}`, {
    place,
    remedy: 'give it turns: [{"role": "user", "content": "…"}, {"role": "assistant", …}]',
  });
}

function message(turn: Row): Message {
  const calls = fieldValue(turn, "tool_calls");
  const hasCalls = Array.isArray(calls) && calls.length > 0;
  const name = fieldValue(turn, "name");
  return {
    role: textField(turn, "role"),
    content: contentOf(turn, hasCalls),
    ...(hasCalls ? { tool_calls: calls.map((call, i) => callOf(call, turn.place, i)) } : {}),
    ...(typeof name === "string" ? { name } : {}),
  };
}

/** A turn that calls tools may say nothing; a list of parts is its texts, one after another. */
function contentOf(turn: Row, mayBeMissing: boolean): string {
  const content = fieldValue(turn, "content");
  if (!Array.isArray(content)) {
    return textField(turn, "content", mayBeMissing ? { missing: "" } : {});
  }
  return content.map((part: unknown, i) => {
    const place = fieldOf(turn.place, `content[${i}]`);
    if (isObject(part) && part.type === "text") return textField({ value: part, place }, "text");
    throw new PacacError("data-invalid", "Cannot use the row: a part of the content is no text", {
      place,
      remedy: "pacac trains on text alone; remove the part or the row",
    });
  }).join("");
}

/** A call as {name, arguments}, the arguments parsed where they are JSON text, as templates expect. */
function callOf(call: unknown, place: Place, index: number): JsonObject {
  const at = fieldOf(place, `tool_calls[${index}]`);
  const inner = isObject(call) && isObject(call.function) ? call.function : call;
  if (isObject(inner) && typeof inner.name === "string") {
    const given = inner.arguments;
    const parsed = typeof given === "string" ? parsedOr(given) : given ?? {};
    return { type: "function", function: { name: inner.name, arguments: parsed } };
  }
  throw new PacacError("data-invalid", "Cannot use the row: a tool call has no name", {
    place: at,
    remedy: 'write it as {"function": {"name": "…", "arguments": {…}}}',
  });
}

/** A text's JSON value, or the text itself. */
function parsedOr(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/**
 * A row's `tools`, a list or the JSON text of one; nothing where there are none.
 * @param row The row
 * @throws {PacacError} data-invalid
 */
export function toolsOf(row: Row): { tools?: readonly unknown[] } {
  const value = fieldValue(row, "tools");
  if (value === undefined || value === null || value === "") return {};
  const place = placeOf(row, "tools");
  const tools = typeof value === "string" ? parseJson(value, place) : value;
  if (Array.isArray(tools)) return tools.length === 0 ? {} : { tools };
  throw new PacacError("data-invalid", `Cannot use the row: "tools" is ${kindOf(tools)}`, {
    place,
    remedy: "make it a list of tools' descriptions",
  });
}

/**
 * Something must be there to learn.
 * @param messages The turns
 * @param row The row
 * @param name The field they stand in
 * @throws {PacacError} data-invalid
 */
export function requireAnswer(messages: readonly Message[], row: Row, name: string): void {
  if (messages.some(({ role }) => role === "assistant")) return;
  throw new PacacError("data-invalid", "Cannot use the row: no turn has the role assistant", {
    place: placeOf(row, name),
    remedy: "add an answer to learn, or remove the row",
  });
}
