/**
 * Token embeddings; threads share tokens.
 * @module
 */
import type { Kernel } from "../../target.ts";
import { untuned } from "../untuned.ts";

/** y[t] = weight[ids[t]]. */
export const embed: Kernel = untuned("embed");
