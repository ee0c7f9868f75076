/**
 * Paths of the repository, and of model files that a machine may or may not have.
 * @module
 */
import { fileURLToPath } from "node:url";

/**
 * Absolute path of something in the repository.
 * @param relative Path from the repository's root
 */
export function inRepository(relative: string): string {
  return fileURLToPath(new URL(`../../${relative}`, import.meta.url));
}
