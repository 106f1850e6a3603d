import { writeConfig } from "../../src/init/furnish.ts";

// Writes a configuration where a limit takes only a part of it: `bun full.ts <path> <bytes>`.

const [path = "", bytes = ""] = process.argv.slice(2);
writeConfig(path, "#".repeat(Number(bytes)));
