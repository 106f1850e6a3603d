import { createReadStream } from "node:fs";
import { MeshError } from "../../src/core/error.ts";
import { nearest } from "../../src/core/nearest.ts";
import { unhungDoors } from "../../src/gateway/door.ts";
import { explainDelivery } from "../../src/gateway/explain.ts";
import { masksOf } from "../../src/gateway/masked-store.ts";
import { print } from "../args.ts";
import { configured } from "../runs/open.ts";
import { describe } from "./text.ts";

// Beyond any max_body that a tracker needs.
const longestBody = 64 * 1024 * 1024;

/** The flags of `meshmac explain` as they were typed. */
export interface Asked {
  source: string;
  body: string;
  /** `name: value`; with none, nothing is verified. */
  headers: readonly string[];
  config?: string | undefined;
  json?: boolean | undefined;
}

/** Explains one body. Throws `usage` for a source or a header that is none, `data` for a file that cannot be read. */
export async function explainFrom({ source, body: file, headers: lines, config: at, json }: Asked): Promise<void> {
  const { config, vault } = await configured(at);
  const doors = unhungDoors(config);
  const door = doors.find(({ name }) => name === source);
  if (!door) {
    const names = doors.map(({ name }) => name);
    const meant = nearest(source, names);
    throw new MeshError("usage", `unknown source ${JSON.stringify(source)}`, {
      hint: meant === undefined ? `configured: ${names.join(", ") || "none"}` : `did you mean ${meant}?`,
    });
  }
  const body = await bytesOf(file);
  const headers = headersIn(lines);
  const locks = lines.length === 0 ? null : vault;
  const explained = explainDelivery({ door, body, headers, locks, now: Date.now() });
  const { text } = masksOf(vault);
  print(text(json ? JSON.stringify({ source, ...explained }) : describe(source, explained)));
}

/** Reads a body, of which no more than a door could take: a device or a stream may have no end. */
async function bytesOf(file: string): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of file === "-" ? Bun.stdin.stream() : createReadStream(file)) {
      chunks.push(chunk);
      size += chunk.length;
      if (size > longestBody) break;
    }
    if (size <= longestBody) return Buffer.concat(chunks);
  } catch (cause) {
    throw new MeshError("data", `cannot read ${JSON.stringify(file)}`, {
      hint: "check the path and its rights",
      cause,
    });
  }
  throw new MeshError("data", `${JSON.stringify(file)} is longer than ${longestBody >> 20} MiB`, {
    hint: "name the file of one body, as a tracker sends it",
  });
}

function headersIn(lines: readonly string[]): Headers {
  const headers = new Headers();
  for (const line of lines) {
    const [, name, value] = /^([!#$%&'*+.^_`|~\w-]+):(.*)$/.exec(line) ?? [];
    if (name === undefined || value === undefined)
      throw new MeshError("usage", "--header is not name: value", {
        hint: 'such as --header "X-GitHub-Event: issues"',
      });
    headers.append(name, value.trim());
  }
  return headers;
}
