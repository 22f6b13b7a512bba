/**
 * `tidegate config validate | schema | show | dry-run`: looks at a dynamic configuration without a node.
 *
 * Invariants: results go to stdout, mistakes and warnings with them, usage errors to stderr; the exit status is 0 if all is
 * well, 1 for a document or record that is wrong, 2 for a wrong command line.
 */
import { readFileSync } from "node:fs";
import { type Command, Option } from "commander";
import { isMarket } from "../../channel/name.ts";
import type { DryRunChoice } from "../../dry-run.ts";
import { GatewayError } from "../../lib/errors.ts";
import { withoutMark } from "../../lib/json-scan.ts";
import type * as Tools from "./tools.ts";

export interface ConfigWorld {
  out(text: string): void;
  /** Only these commands need it, and it knows all brokers. */
  loadConfigTools(): Promise<typeof Tools>;
  loadSurroundings(): { stdin(): ReadableStream<Uint8Array> };
}

interface Flags {
  readonly json?: true;
  readonly defaultMarket: string;
}

export function addConfig(program: Command, world: ConfigWorld, ended: (status: number) => void): void {
  const config = program
    .command("config")
    .description("check, show and try out a dynamic configuration")
    .helpCommand("help [command]", "the flags of a command");
  const market = () =>
    new Option("--default-market <NAME>", "market of channel names without a prefix").default("spot");
  const json = () => new Option("--json", "as JSON, for programs");

  config
    .command("validate")
    .description("name every mistake of a document")
    .argument("<file>", "the document")
    .addOption(json())
    .addOption(market())
    .addHelpText("after", VALIDATE_NOTES)
    .action(async (file: string, flags: Flags) => {
      const { validate } = await world.loadConfigTools();
      const { text, isValid } = await validate(file, read(file), marketOf(flags), flags.json === true);
      world.out(text);
      ended(isValid ? 0 : 1);
    });

  config
    .command("schema")
    .description("print the JSON Schema of a document, for editors")
    .action(async () => world.out((await world.loadConfigTools()).schema()));

  config
    .command("show")
    .description("print a document as it is understood: defaults filled in, secrets left out")
    .argument("<file>", "the document")
    .addOption(market())
    .action(async (file: string, flags: Flags) => {
      const { show } = await world.loadConfigTools();
      world.out(await show(file, read(file), marketOf(flags)));
    });

  config
    .command("dry-run")
    .description("show what sample records, one a line on stdin, become")
    .argument("<file>", "the document")
    .option("--route <ID>", "run the mappings of this route (the only one)")
    .option("--mapper <NAME>", "run one mapper alone; the record names its channel")
    .option("--topic <NAME>", "the topic, subject or key that the records came on")
    .addOption(json())
    .addOption(market())
    .addHelpText("after", DRY_RUN_NOTES)
    .action(async (file: string, flags: Flags & DryRunChoice) => {
      if (flags.route !== undefined && flags.mapper !== undefined) {
        throw new GatewayError("USAGE", "--route and --mapper exclude each other: leave one out");
      }
      const { dryRun } = await world.loadConfigTools();
      const run = await dryRun(file, read(file), flags, marketOf(flags), flags.json === true);
      const records = await new Response(world.loadSurroundings().stdin()).text();
      const { text, allFit } = run(records);
      world.out(text);
      ended(allFit ? 0 : 1);
    });
}

function marketOf({ defaultMarket }: Flags): string {
  if (isMarket(defaultMarket)) return defaultMarket;
  throw new GatewayError("USAGE", `--default-market ${defaultMarket}: want a market in lower case, for example spot`);
}

function read(file: string): string {
  try {
    return withoutMark(readFileSync(file, "utf8"));
  } catch (error) {
    const isAbsent = error instanceof Error && "code" in error && error.code === "ENOENT";
    const why = error instanceof Error ? error.message : String(error);
    throw new GatewayError("USAGE", isAbsent ? `${file} is no file that exists` : `${file}: cannot be read (${why})`);
  }
}

const VALIDATE_NOTES = `
The exit status is 0 for a document that a node would take, 1 for one with mistakes. Warnings are not mistakes.

Examples:
  tidegate config validate routes.json
  tidegate config validate --json routes.json | jq '.mistakes[].path'
`;

const DRY_RUN_NOTES = `
The exit status is 0 if every record was understood (also if it is none of ours), 1 if one is malformed.

Examples:
  tidegate config dry-run routes.json --route trades < sample.json
  tidegate config dry-run routes.json --route books --topic md.depth.btcusdt < samples.jsonl
  echo '{"s":"BTCUSDT",...}' | tidegate config dry-run routes.json --mapper acme_trade
`;
