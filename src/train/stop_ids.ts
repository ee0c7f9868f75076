/**
 * The tokens that end a model's texts, as its files name them.
 * @module
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { PacacError } from "../errors.ts";
import { isObject, messageOf } from "./json.ts";
import type { Tokenizer } from "./tokenizer.ts";

/**
 * Ids of generation_config.json's `eos_token_id` (config.json's where it names none), and the tokenizer's end-of-text.
 * @param folder The model's folder
 * @param tokenizer Its tokenizer
 * @throws {PacacError} config-invalid, where a file is no JSON or names something else than ids
 */
export async function stopIds(folder: string, tokenizer: Tokenizer): Promise<number[]> {
  const named = await idsOf(join(folder, "generation_config.json")) ??
    await idsOf(join(folder, "config.json")) ?? [];
  const own = tokenizer.eosId === undefined ? [] : [tokenizer.eosId];
  return [...new Set([...named, ...own])];
}

async function idsOf(file: string): Promise<number[] | undefined> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return undefined;
    throw refused(file, messageOf(cause), "check the file's permissions");
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw refused(file, messageOf(cause), "fetch the file again");
  }
  const ids: unknown = isObject(value) ? value.eos_token_id : undefined;
  if (ids === undefined || ids === null) return undefined;
  const list: unknown[] = Array.isArray(ids) ? ids : [ids];
  const numbers = list.filter((id): id is number => Number.isSafeInteger(id) && Number(id) >= 0);
  if (numbers.length === list.length) return numbers;
  throw refused(file, "eos_token_id is no list of ids", "name a token's id, or a list of them");
}

function refused(file: string, state: string, remedy: string): PacacError {
  return new PacacError("config-invalid", `Cannot read which tokens end a text: ${state}`, {
    place: { file, field: "eos_token_id" },
    remedy,
  });
}
