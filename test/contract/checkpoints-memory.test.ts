import { MemoryCheckpoints } from "../../src/ingest/checkpoint.ts";
import { checkpointsContract } from "./checkpoints.ts";

const store = new MemoryCheckpoints();

checkpointsContract("checkpoints in memory", { open: () => store });
