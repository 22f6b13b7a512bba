#!/usr/bin/env bun
/** The program: hands the command line to src/cli and its result to the system. */
import { run } from "../src/cli/program.ts";
import { realWorld } from "../src/cli/world.ts";

process.exit(await run(process.argv.slice(2), realWorld()));
