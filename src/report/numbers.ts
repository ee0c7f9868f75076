/**
 * Numbers as people read them: on the terminal and on pages.
 * @module
 */

/**
 * A duration for a person: `850 ms`, `12.3 s`, `4 min 05 s`, `2 h 03 min`.
 * @param seconds Its length
 */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return "?";
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const two = (value: number) => `${value}`.padStart(2, "0");
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  const minutes = Math.round(whole / 60);
  return `${Math.floor(minutes / 60)} h ${two(minutes % 60)} min`;
}

/**
 * A size for a person.
 * @param bytes Its bytes
 */
export function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 2 : 1)} MB`;
}

/**
 * A share as percent.
 * @param share 0 to 1
 */
export function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

/**
 * A count with separators of thousands.
 * @param value The count
 */
export function grouped(value: number): string {
  return Math.round(value).toLocaleString("en");
}
