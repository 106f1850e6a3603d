import { isObject, type Json, type JsonObject } from "../../src/core/json.ts";
import { isWebLink, onlyKeys } from "./strict.ts";

// What Slack takes in a message, and what it reads as markup: https://docs.slack.dev/reference/block-kit/blocks

/** Throws Slack's own word where it would refuse the layout. */
export function checkLayout({ text, blocks = [], attachments = [] }: JsonObject): void {
  if (typeof text !== "string" || text === "") throw new Error("no_text");
  if ([...text].length > 4000) throw new Error("msg_too_long");
  if (!Array.isArray(attachments) || attachments.length > 100) throw new Error("too_many_attachments");
  if (!Array.isArray(blocks) || blocks.length > 50) throw new Error("invalid_blocks");
  const ids = blocks.flatMap((block) => (isObject(block) && block.block_id !== undefined ? [block.block_id] : []));
  if (new Set(ids).size < ids.length) throw new Error("invalid_blocks");
  blocks.forEach(checkBlock);
  if (blockTexts(blocks).reduce((sum, { text: one }) => sum + one.length, 0) > 13_000)
    throw new Error("msg_blocks_too_long");
}

const keysOf: Record<string, string[]> = {
  header: ["text"],
  section: ["text", "fields"],
  context: ["elements"],
  divider: [],
};

function checkBlock(block: Json): void {
  if (!isObject(block) || typeof block.type !== "string" || !Object.hasOwn(keysOf, block.type)) return refuse();
  try {
    onlyKeys(block, ["type", "block_id", ...(keysOf[block.type] ?? [])], block.type);
  } catch {
    return refuse();
  }
  const { type, text, fields, elements } = block;
  if (type === "header") return checkText(text, 150, ["plain_text"]);
  if (type === "context") return checkAll(elements, (element) => checkText(element, 3000));
  if (type !== "section") return;
  if (text === undefined && fields === undefined) return refuse();
  if (text !== undefined) checkText(text, 3000);
  if (fields !== undefined) checkAll(fields, (field) => checkText(field, 2000));
}

function checkAll(list: Json | undefined, check: (one: Json) => void): void {
  if (!Array.isArray(list) || list.length < 1 || list.length > 10) return refuse();
  list.forEach(check);
}

function checkText(value: Json | undefined, longest: number, kinds = ["plain_text", "mrkdwn"]): void {
  if (!isObject(value) || typeof value.text !== "string" || !kinds.includes(String(value.type))) return refuse();
  onlyKeys(value, ["type", "text", value.type === "mrkdwn" ? "verbatim" : "emoji"], "a text");
  if (value.text === "" || [...value.text].length > longest) return refuse();
}

function refuse(): never {
  throw new Error("invalid_blocks");
}

interface Text {
  type: string;
  text: string;
  verbatim?: boolean;
}

const blockTexts = (value: Json): Text[] => {
  if (Array.isArray(value)) return value.flatMap(blockTexts);
  if (!isObject(value)) return [];
  const { type, text, verbatim } = value;
  if (typeof text !== "string") return Object.values(value).flatMap(blockTexts);
  return [{ type: String(type), text, verbatim: verbatim === true }];
};

const ourLink = /<(https?:\/\/[^\s<>|]+)\|[a-z]+>/g;
const ourBold = /\*(Failed:|Why:|queued|running|succeeded|failed|cancelled|dead)\*/g;

/** What Slack would read out of a message beside its text: mentions, links and formatting that are not ours. */
export function markupIn({ text, blocks = [] }: JsonObject): string[] {
  const hasBlocks = Array.isArray(blocks) && blocks.length > 0;
  // Beside blocks, the text is for notifications, which show no formatting.
  const whole: Text = { type: hasBlocks ? "plain_text" : "mrkdwn", text: String(text), verbatim: true };
  return [whole, ...blockTexts(blocks)].flatMap(({ type, text: one, verbatim }) => {
    const links = [...one.matchAll(ourLink)].filter(([, url]) => !isWebLink(url));
    const bare = one.replace(ourLink, "");
    const found = [/[<>]/, /&(?!(amp|lt|gt);)/, /@\w/].flatMap((pattern) => pattern.exec(bare)?.[0] ?? []);
    const shown = bare.replace(ourBold, "").replace(/`[^`\n]+`/g, "");
    const formatted = type === "mrkdwn" ? (/[*_~`]|:\/\/|www\./.exec(shown)?.[0] ?? []) : [];
    return [
      ...links.map(([link]) => link),
      ...found,
      ...[formatted].flat(),
      ...(type === "mrkdwn" && !verbatim ? ["not verbatim"] : []),
    ];
  });
}
