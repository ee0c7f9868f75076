/**
 * What a person means by a run's folder where an adapter or a model is wanted: the one in it.
 * @module
 */
import { fileSize, join } from "../formats/mod.ts";

/** A file that shows what a folder is. */
export type FolderMark = "adapter_config.json" | "config.json";

/**
 * The folder itself where it is one, else the one in a run's folder; nothing where neither is.
 * @param folder As named, absolute
 * @param marks Which kinds of folder are wanted
 */
export function partOf(folder: string, marks: readonly FolderMark[]): string | undefined {
  const candidates = [folder, join(folder, "adapter"), join(folder, "model")];
  return candidates.find((one) => marks.some((mark) => fileSize(join(one, mark)) !== undefined));
}
