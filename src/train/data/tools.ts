/**
 * Tools as text, for chat templates that do not know them: descriptions go into the system turn, calls into the answer.
 * @module
 */
import { isObject } from "../json.ts";
import type { Message, Tokenizer } from "../tokenizer.ts";
import type { Conversation } from "./document.ts";

/**
 * A conversation with what the tokenizer's template does not read written out.
 * @param conversation Turns and tools
 * @param tokenizer A tokenizer with a chat template
 */
export function withToolsAsText(conversation: Conversation, tokenizer: Tokenizer): Conversation {
  const { messages, tools, place } = conversation;
  const turns = tokenizer.templateReads("tool_calls") ? messages : messages.map(withCallsAsText);
  if (tools === undefined) return { messages: turns, place };
  if (tokenizer.templateReads("tools")) return { messages: turns, tools, place };
  const text = describe(tools);
  const [first] = turns;
  const described = first?.role === "system"
    ? [{ ...first, content: `${first.content}\n\n${text}` }, ...turns.slice(1)]
    : [{ role: "system", content: text }, ...turns];
  return { messages: described, place };
}

function describe(tools: readonly unknown[]): string {
  const lines = tools.map((tool) => JSON.stringify(tool)).join("\n");
  return "These tools can be called. A call is its name and arguments as JSON between " +
    `<tool_call> and </tool_call>.\n${lines}`;
}

function withCallsAsText({ tool_calls, ...message }: Message): Message {
  if (tool_calls === undefined) return message;
  const calls = tool_calls.map((call) => {
    const inner = isObject(call) && isObject(call.function) ? call.function : call;
    return `<tool_call>\n${JSON.stringify(inner)}\n</tool_call>`;
  });
  const { content } = message;
  return { ...message, content: [...(content === "" ? [] : [content]), ...calls].join("\n") };
}
