/** Writes docs/config.schema.json from the code. */
import { schemaText } from "../src/config/dynamic/json-schema.ts";
import { dynamicContext } from "../src/dynamic-context.ts";

await Bun.write(new URL("../docs/config.schema.json", import.meta.url), schemaText(dynamicContext()));
console.log("docs/config.schema.json: written");
