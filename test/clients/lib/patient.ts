/**
 * Settings of a node that is patient with slow clients: where what a native client saw in real time is the truth, it must
 * not be slowed because the machine is busy with other things and this process reads late.
 */
import { join } from "node:path";

export const PATIENT = join(import.meta.dir, "patient.json");
