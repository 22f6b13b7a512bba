/** Options of a program that a person runs: `--help` is answered, a wrong one is a sentence and status 2. */
import { type ParseArgsConfig, parseArgs } from "node:util";

type Config = { options: NonNullable<ParseArgsConfig["options"]> };
type Values<C extends Config> = ReturnType<typeof parseArgs<C>>["values"];

/** Ends the process after `--help`, and after an option that `config` does not have. */
export function optionsOf<const C extends Config>(help: string, config: C): Values<C> {
  const args = process.argv.slice(2);
  if (args.includes("--help")) {
    console.log(help);
    process.exit(0);
  }
  try {
    return parseArgs({ ...config, args }).values as Values<C>;
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    console.error(`${error.message}\n\n${help}`);
    process.exit(2);
  }
}
