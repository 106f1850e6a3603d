import { defineCommand } from "citty";
import { print } from "../args.ts";

export default defineCommand({
  meta: { name: "schema", description: "Print the JSON Schema of the configuration file, for editors" },
  async run() {
    const { jsonSchema } = await import("../../src/config/shown.ts");
    print(JSON.stringify(jsonSchema(), null, 2));
  },
});
