/**
 * What an evaluation comes to: the share of right answers, and how far chance alone may have moved it.
 * @module
 */

/** Right answers of a set of questions. */
export interface Score {
  /** Questions that were answered. */
  readonly questions: number;
  /** Of them, answered rightly. */
  readonly correct: number;
  /** correct / questions; NaN where there were none. */
  readonly accuracy: number;
  /** Of the accuracy; NaN below two questions. */
  readonly standardError: number;
}

/**
 * The score of n answers of which c are right: p = c/n, and its standard error sqrt(p·(1-p)/(n-1)), that of a mean of zeros and
 * ones with the sample's own variance.
 * @param correct Right answers
 * @param questions Answers
 */
export function scoreOf(correct: number, questions: number): Score {
  const accuracy = correct / questions;
  const standardError = questions < 2
    ? NaN
    : Math.sqrt(accuracy * (1 - accuracy) / (questions - 1));
  return { questions, correct, accuracy, standardError };
}
