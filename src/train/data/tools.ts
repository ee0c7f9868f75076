/**
 * Tools as text, for chat templates that do not know them: descriptions go into the system turn, calls into the answer.
 * @module
 */
import { PacacError, type Place } from "../../errors.ts";
import { isObject, messageOf } from "../json.ts";
import type { Message, Tokenizer } from "../tokenizer.ts";
import type { Conversation } from "./document.ts";

/**
 * A conversation with what the tokenizer's template does not read written out.
 * @param conversation Turns and tools
 * @param tokenizer A tokenizer with a chat template
 * @throws {PacacError} data-invalid, where values are nested too deep to be written
 */
export function withToolsAsText(conversation: Conversation, tokenizer: Tokenizer): Conversation {
  const { messages, tools, place } = conversation;
  const turns = tokenizer.templateReads("tool_calls")
    ? messages
    : messages.map((message) => withCallsAsText(message, place));
  if (tools === undefined) return { messages: turns, place };
  if (tokenizer.templateReads("tools")) return { messages: turns, tools, place };
  const text = describe(tools, place);
  const [first] = turns;
  const described = first?.role === "system"
    ? [{ ...first, content: `${first.content}\n\n${text}` }, ...turns.slice(1)]
    : [{ role: "system", content: text }, ...turns];
  return { messages: described, place };
}

function describe(tools: readonly unknown[], place: Place): string {
  const lines = tools.map((tool) => jsonOf(tool, place)).join("\n");
  return "These tools can be called. A call is its name and arguments as JSON between " +
    `<tool_call> and </tool_call>.\n${lines}`;
}

function withCallsAsText({ tool_calls, ...message }: Message, place: Place): Message {
  if (tool_calls === undefined) return message;
  const calls = tool_calls.map((call) => {
    const inner = isObject(call) && isObject(call.function) ? call.function : call;
    return `<tool_call>\n${jsonOf(inner, place)}\n</tool_call>`;
  });
  const { content } = message;
  return { ...message, content: [...(content === "" ? [] : [content]), ...calls].join("\n") };
}

function jsonOf(value: unknown, place: Place): string {
  try {
    return JSON.stringify(value);
  } catch (cause) {
    throw new PacacError("data-invalid", `Cannot write a tool as text: ${messageOf(cause)}`, {
      place,
      remedy: "remove the row",
      cause,
    });
  }
}
