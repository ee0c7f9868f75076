/**
 * Keys and values of new tokens into a cache; threads share channels.
 * @module
 */
import type { Kernel } from "../../target.ts";
import { untuned } from "../untuned.ts";

/** keys[:, position[t]] = k[t], values[position[t]] = v[t]. */
export const cacheAppend: Kernel = untuned("cache_append");
