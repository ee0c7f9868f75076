/**
 * Rotary position embedding of all heads of a projection; threads share tokens.
 * @module
 */
import type { Kernel } from "../../target.ts";
import { untuned } from "../untuned.ts";

/** Rotates halves of heads by the token's position. */
export const rope: Kernel = untuned("rope", {
  context: ({ attributes }) => ({ inverse: attributes.inverse === true }),
});
