/**
 * What the processor says of itself. Deno gives no script /proc, whatever it is allowed to read: cat reads it.
 * @module
 */
import { cpus } from "node:os";

/** Text of /proc/cpuinfo; "" where there is none. */
export function cpuInfo(): string {
  try {
    const { stdout } = new Deno.Command("cat", { args: ["/proc/cpuinfo"], stderr: "null" })
      .outputSync();
    return new TextDecoder().decode(stdout);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return ""; // No cat: not Linux.
    throw error;
  }
}

/** The processor's name as the system tells it. */
export function processorName(): string {
  return cpus()[0]?.model.trim() || Deno.build.arch;
}
