/**
 * Loads a built addon, after a child process has shown that it does not crash.
 * @module
 */
import { type NativeModule, openAddon } from "../train/native_engine.ts";
import { probeAddon, type ProbeOptions } from "./probe.ts";

/**
 * What an addon exports.
 * @param path The addon
 * @param options The cache that remembers which addons were tried; whether a program is made
 * @throws {PacacError} load-failed
 */
export async function loadAddon(
  path: string,
  options: ProbeOptions = {},
): Promise<NativeModule> {
  await probeAddon(path, options);
  return openAddon(path);
}
