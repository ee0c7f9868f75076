/**
 * Completions: rows of {prompt, completion}. Both are texts, put together as they are, or both are lists of turns.
 * @module
 */
import { supervise } from "./chat.ts";
import { type Document, promptAndAnswer, type ReadContext } from "./document.ts";
import { requireAnswer, turnsOf } from "./messages.ts";
import { fieldValue, type Row, textField } from "./rows.ts";

/**
 * The document of a row: the completion is trained on, and the end-of-text token behind it. No chat template is applied to
 * texts. Of turns, those of the completion are trained on.
 * @param row The row
 * @param context Tokenizer, and what is trained on
 * @throws {PacacError} data-invalid, tokenizer-invalid
 */
export function readCompletion(row: Row, context: ReadContext): Document[] {
  if (!Array.isArray(fieldValue(row, "prompt"))) {
    return [promptAndAnswer(textField(row, "prompt"), textField(row, "completion"), context)];
  }
  const given = turnsOf(row, "prompt"), learnt = turnsOf(row, "completion");
  requireAnswer(learnt, row, "completion");
  const conversation = { messages: [...given, ...learnt], place: row.place };
  return [supervise(conversation, { ...context, from: given.length })];
}
