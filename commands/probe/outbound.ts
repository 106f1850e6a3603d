import { setLogLevel } from "../../src/log.ts";
import { type Checked, checkOutbound } from "../../src/probe/outbound.ts";
import { print } from "../args.ts";
import { configured } from "../runs/open.ts";
import { table } from "../runs/text.ts";
import type { Asked } from "./asked.ts";

/** Checks what each chat would be sent, and sends a test where asked; returns the exit status. */
export async function probeOutbound({ config: file, send, json }: Asked): Promise<number> {
  if (!process.env.MESHMAC_LOG_LEVEL) setLogLevel("warn");
  const { config, vault } = await configured(file);
  const told = (line: string) => (json ? process.stderr.write(`${line}\n`) : print(line));
  const checked = await checkOutbound({ config, vault, send: send === true, print: told });
  print(json ? JSON.stringify({ ok: checked.every(isRight), chats: checked }) : describe(checked));
  return checked.every(isRight) ? 0 : 1;
}

const isRight = ({ wrong }: Checked): boolean => wrong === null;

function describe(checked: readonly Checked[]): string {
  if (checked.length === 0) return "no chat is configured";
  const rows = checked.map(({ chat, kind, wrong, look, sent }) => [
    chat,
    kind,
    wrong === null ? (sent ? "sent" : "ok") : "WRONG",
    [wrong, look].filter((part) => part !== null && part !== "").join("; look: "),
  ]);
  return table(["CHAT", "KIND", "", ""], rows);
}
