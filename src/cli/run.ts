/**
 * What every command shares: it is looked up, runs, and its failures become messages and exit codes.
 *
 * 0 done, 1 the user's input is at fault, 2 the command line is, 70 pacac itself is, 130 Ctrl-C, 143 SIGTERM.
 * @module
 */
import type { Command as PlainCommand } from "commander";
import { CommanderError } from "@commander-js/extra-typings";
import { PacacError } from "../errors.ts";
import { ENVIRONMENT, near } from "../knobs.ts";
import { note, print } from "./print.ts";

/** The Deno that pacac is tested with. */
const TESTED = "2.9";

/** A command that can be loaded. */
export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  /** Commands load their modules late, so that `help` and usage errors are quick. */
  readonly load: () => Promise<PlainCommand>;
}

/** How a command ends if not with 0: thrown by commands that stop early, such as on Ctrl-C. */
export class Exit extends Error {
  override readonly name = "Exit";
  /** The process's exit code. */
  readonly code: number;

  /** @param code The process's exit code */
  constructor(code: number) {
    super(`exit ${code}`);
    this.code = code;
  }
}

/**
 * Runs the command that the arguments name.
 * @param args Name of the command and its arguments
 * @param commands What there is
 * @returns The exit code
 */
export async function run(
  args: readonly string[],
  commands: readonly CommandEntry[],
): Promise<number> {
  const [name = "help", ...given] = args;
  // `npm run x -- --flag` habits: deno task passes the -- on.
  const rest = given[0] === "--" ? given.slice(1) : given;
  if (["help", "--help", "-h"].includes(name)) return help(commands);
  const entry = commands.find((command) => command.name === name);
  if (entry === undefined) {
    const guess = near(name, commands.map((command) => command.name));
    note(`error[usage]: There is no command "${name}"`);
    note(`  help: ${guess === undefined ? "deno task lists them" : `did you mean ${guess}?`}`);
    return 2;
  }
  warnAboutVersion();
  try {
    const command = prepare(await entry.load(), entry);
    const problem = flagProblem(command, rest);
    if (problem !== undefined) {
      note(usageError(problem, name));
      return 2;
    }
    await command.parseAsync([...rest], { from: "user" });
    return 0;
  } catch (error) {
    return report(error);
  }
}

function prepare(command: PlainCommand, entry: CommandEntry): PlainCommand {
  const variables = Object.entries(ENVIRONMENT)
    .map(([name, meaning]) => `  ${name.padEnd(20)} ${meaning}`).join("\n");
  return command.name(`deno task ${entry.name}`)
    .description(entry.summary)
    .exitOverride()
    .showSuggestionAfterError(true)
    .configureOutput({
      writeOut: (text) => print(text.trimEnd()),
      writeErr: (text) => note(text.trimEnd()),
      outputError: (text, write) => write(usageError(text, entry.name)),
    })
    .addHelpText("after", `\nEnvironment:\n${variables}`);
}

/**
 * What is wrong with the flags' names, in commander's words. It tells of a flag that is missing before one that it does not
 * know, which is the same one misspelt; and takes the last of two values without a word.
 */
function flagProblem(command: PlainCommand, args: readonly string[]): string | undefined {
  const seen = new Set<string>();
  for (let i = 0; i < args.length && args[i] !== "--"; i++) {
    if (!/^-./.test(args[i])) continue;
    const [flag] = args[i].split("=", 1);
    if (flag === "--help" || flag === "-h") return undefined;
    const option = command.options.find(({ long, short }) => long === flag || short === flag);
    if (option === undefined) {
      const known = command.options.flatMap(({ long, hidden }) => hidden ? [] : [long ?? ""]);
      const guess = near(flag, known);
      return `error: unknown option '${flag}'` +
        (guess === undefined ? "" : `\n(Did you mean ${guess}?)`);
    }
    const value = args[i] === flag ? args.at(i + 1) : args[i].slice(flag.length + 1);
    if (option.required && args[i] === flag) i++;
    if (option.required && value === "") {
      return `error: option '${option.flags}' has an empty value`;
    }
    // A flag that may come again is read with what came before.
    const again = option.parseArg?.length === 2;
    if (seen.has(flag) && !again) return `error: option '${option.flags}' is given twice`;
    seen.add(flag);
  }
  return undefined;
}

/** commander's words in the form of all other errors. */
function usageError(text: string, name: string): string {
  const [, message, guess] = text.trim().match(/^error: (.+?)\.?(?:\n\(Did you mean (.+)\?\))?$/) ??
    ["", text.trim()];
  const remedy = guess === undefined ? `see deno task ${name} --help` : `did you mean ${guess}?`;
  return `error[usage]: ${message.charAt(0).toUpperCase()}${message.slice(1)}\n  help: ${remedy}`;
}

/** The exit code of an error, after telling it. */
function report(error: unknown): number {
  if (error instanceof Exit) return error.code;
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (error instanceof PacacError) {
    note(error.format());
    return error.code === "usage" ? 2 : 1;
  }
  note(error instanceof Error ? error.stack ?? error.message : String(error));
  note("This is a bug in pacac. Please report it with the text above.");
  return 70;
}

function help(commands: readonly CommandEntry[]): number {
  print("pacac compiles model descriptions to programs that fine-tune with PaCA.\n");
  for (const { name, summary } of commands) print(`  deno task ${name.padEnd(10)} ${summary}`);
  print("\nEach has --help.");
  return 0;
}

function warnAboutVersion(): void {
  const { deno } = Deno.version;
  if (deno.startsWith(`${TESTED}.`)) return;
  note(`warning: this is Deno ${deno}; pacac is tested with ${TESTED} (npx deno@${TESTED} task …)`);
}
