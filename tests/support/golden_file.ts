/**
 * Compares text with a file under tests/; PACAC_UPDATE=1 rewrites the file instead.
 * @module
 */
import assert from "node:assert/strict";

/**
 * Fails unless the file holds the text.
 * @param url Address of the file
 * @param actual The text
 */
export function assertGolden(url: URL, actual: string): void {
  if (Deno.env.get("PACAC_UPDATE") === "1") {
    Deno.writeTextFileSync(url, actual);
    return;
  }
  let expected = "";
  try {
    expected = Deno.readTextFileSync(url);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    assert.fail(`${url.pathname} is not there: run the tests with PACAC_UPDATE=1 and read it`);
  }
  assert.equal(actual, expected, `${url.pathname} differs (PACAC_UPDATE=1 rewrites it)`);
}
