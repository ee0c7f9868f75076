/**
 * Flags of the commands here: --help says what they are, and so does a mistake.
 * @module
 */
// deno-lint-ignore-file no-console -- the usage goes to a person
import { parseArgs, type ParseArgsConfig } from "node:util";

/** The options of parseArgs. */
type Options = NonNullable<ParseArgsConfig["options"]>;

/**
 * A command's flags; ends the process where the usage was asked for or a flag is wrong.
 * @param usage How the command is called
 * @param options As parseArgs takes them
 */
export function flagsOf<const T extends Options>(
  usage: string,
  options: T,
): ReturnType<typeof parseArgs<{ options: T }>>["values"] {
  if (Deno.args.some((flag) => flag === "--help" || flag === "-h")) {
    console.log(usage);
    Deno.exit(0);
  }
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    misused(usage, error instanceof Error ? error.message : undefined);
  }
}

/**
 * Ends the process over flags that make no sense.
 * @param usage How the command is called
 * @param mistake What is wrong, where it is known
 */
export function misused(usage: string, mistake?: string): never {
  console.error(mistake === undefined ? usage : `${mistake}\n\n${usage}`);
  Deno.exit(2);
}
