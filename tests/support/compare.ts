/**
 * The one place where numbers are compared: `!(error <= tolerance)` fails, so NaN fails.
 * @module
 */
import assert from "node:assert/strict";

/** Anything indexed by number. */
export type Numbers = ArrayLike<number>;

/**
 * ‖actual − expected‖ / ‖expected‖; NaN where a value is NaN, the absolute norm where expected is all 0.
 * @param actual Values found
 * @param expected Values wanted
 */
export function relativeError(actual: Numbers, expected: Numbers): number {
  assert.equal(actual.length, expected.length, "lengths differ");
  let difference = 0;
  let norm = 0;
  for (let i = 0; i < expected.length; i++) {
    difference += (actual[i] - expected[i]) ** 2;
    norm += expected[i] ** 2;
  }
  return norm === 0 ? Math.sqrt(difference) : Math.sqrt(difference / norm);
}

/** What {@linkcode assertClose} takes. */
export interface Tolerance {
  readonly tolerance: number;
  readonly what: string;
}

/**
 * Fails unless actual is within tolerance of expected.
 * @param actual Values found
 * @param expected Values wanted
 * @param options Tolerance on the relative error, and a name
 */
export function assertClose(actual: Numbers, expected: Numbers, options: Tolerance): void {
  const error = relativeError(actual, expected);
  if (!(error <= options.tolerance)) {
    assert.fail(`${options.what}: relative error ${error}, allowed ${options.tolerance}`);
  }
}
