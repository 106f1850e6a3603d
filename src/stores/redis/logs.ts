import { MeshError } from "../../core/error.ts";
import { isFull, type Logs } from "../logs.ts";
import type { OperatorStore, Store } from "../store.ts";
import type { Link } from "./link.ts";

/** When a log has not moved for so long, another gateway goes on with it. */
const usualPatience = 15_000;

/** Makes the verbs of logs: Redis holds what no gateway has drained yet, files hold the rest. */
export function logVerbs(
  link: Link,
  logs: Logs | null,
  patience_ms = usualPatience,
): Pick<Store, "drain"> & Pick<OperatorStore, "readLog"> {
  return {
    async readLog(run_id, attempt, from, limit) {
      const pieces: Uint8Array[] = [];
      let at = Math.max(0, from);
      let size = at;
      // The rest of a page may lie in the next part.
      for (let left = limit; ;) {
        const slice = await sliceOf(link, { run_id, attempt, from: at, limit: left });
        ({ size } = slice);
        const found = at < slice.trimmed ? drained(logs, { run_id, attempt }, slice, at, left) : slice.bytes;
        // What was found before a part that is elsewhere is an answer: the next page begins there, and says so.
        const bytes = await (pieces.length === 0 ? found : Promise.resolve(found).catch(() => nothing));
        pieces.push(bytes);
        at += bytes.length;
        left -= bytes.length;
        if (bytes.length === 0 || left <= 0 || at >= size) break;
      }
      const bytes = pieces.length === 1 && pieces[0] ? pieces[0] : new Uint8Array(Buffer.concat(pieces));
      return { bytes, next: Math.min(at, size), size };
    },

    async drain(name) {
      if (!logs) return false;
      const place = logs.place();
      const claimed = await link.callRaw("drain", { place, name, patience_ms });
      const [run, nth, part, trimmed, bytes] = claimed;
      if (!Buffer.isBuffer(bytes)) return false;
      const [run_id, attempt, from] = [String(run), Number(nth), Number(trimmed)];
      try {
        // On the disk before it leaves Redis; killed in between, whoever comes next writes the same at the same place.
        await logs.put({ run_id, attempt, from: Number(part) }, from, bytes);
      } catch (error) {
        if (error instanceof MeshError && isFull(error.cause))
          await link.call("cut", { run_id, attempt: String(attempt), line: cutLine });
        throw error;
      }
      await link.call("trim", { run_id, attempt: String(attempt), place, from, to: from + bytes.length });
      return true;
    },
  };
}

const nothing = new Uint8Array();
const cutLine = "\n[the rest is left out here: the disk of the gateway was full]\n";

interface Slice {
  size: number;
  /** Where Redis begins. */
  trimmed: number;
  parts: Part[];
  bytes: Uint8Array;
}

/** Whose files hold an attempt's log from byte `from` on. */
interface Part {
  from: number;
  place: string;
  name: string;
}

async function sliceOf(
  link: Link,
  ask: { run_id: string; attempt: number; from: number; limit: number },
): Promise<Slice> {
  const [size, trimmed, parts, bytes] = await link.callRaw("slice", { ...ask, attempt: String(ask.attempt) });
  return {
    size: Number(size),
    trimmed: Number(trimmed),
    parts: String(parts).split("\n").filter(Boolean).map(partOf),
    bytes: Buffer.isBuffer(bytes) ? new Uint8Array(bytes) : new Uint8Array(),
  };
}

function partOf(line: string): Part {
  const [from, place = "", ...name] = line.split(" ");
  return { from: Number(from), place, name: name.join(" ") };
}

/** Reads what a gateway has drained, up to where the next part begins. Throws `unavailable` where another one has it. */
async function drained(
  logs: Logs | null,
  held: { run_id: string; attempt: number },
  { parts, trimmed }: Slice,
  at: number,
  limit: number,
): Promise<Uint8Array> {
  const index = parts.findLastIndex(({ from }) => from <= at);
  const part = parts[index];
  if (!part) return nothing;
  const end = parts[index + 1]?.from ?? trimmed;
  const found = await logs?.read({ ...held, from: part.from }, at, Math.min(limit, end - at));
  if (found) return found.bytes;
  // Here it was, and retention removed it.
  if (logs?.place() === part.place) return nothing;
  throw new MeshError("unavailable", `this part of the log is kept by gateway ${JSON.stringify(part.name)}`, {
    hint: "ask that gateway, or set logs.archive so that every gateway can read it",
  });
}
