import { replaceFile } from "../../src/secrets/write.ts";

// Replaces a file where a limit or a disk takes only a part of it: `bun full.ts <path> <bytes>`.

const [path = "", bytes = ""] = process.argv.slice(2);
replaceFile(path, "x".repeat(Number(bytes)));
