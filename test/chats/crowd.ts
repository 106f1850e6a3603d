import type { Json, JsonObject } from "../../src/core/json.ts";
import { gate } from "../fakes/remote.ts";
import { Stage, type Texts } from "../gateway/stage.ts";
import { until } from "../stores/conformance/given.ts";
import { type Column, columns, type Far } from "./columns.ts";
import { named } from "./stands.ts";

/** What became of one column's share of the crowd; a terminal can not be stuck. */
export interface Share {
  stuck: Far | null;
  limited: Far;
  others: Far[];
}

export interface Crowd {
  of(column: string): Share;
}

const size = 500;
let opened: Promise<Crowd> | undefined;

/** Sends two reports to 500 destinations of all kinds at once, of which one of each kind is stuck and one may take one a minute; once for all who ask. */
export const crowdAt = (): Promise<Crowd> => (opened ??= open());

async function open(): Promise<Crowd> {
  const shares = new Map(columns.map((column) => [column.name, shareOf(column)]));
  const [first] = shares.values();
  while (first && count(shares) < size) first.others.push(openedAt(columns[0]));
  const chats: { [name: string]: Json } = {};
  const texts: Texts = {};
  const printed = new Map<string, Far>();
  const add = (far: Far, more: JsonObject = {}): void => {
    const name = `c${Object.keys(chats).length}`;
    const apart = named(name, far);
    chats[name] = { ...apart.entry, states: ["succeeded"], ...more };
    Object.assign(texts, apart.texts);
    printed.set(`chat:${name}`, far);
  };
  for (const { stuck, limited, others } of shares.values()) {
    if (stuck) add(stuck);
    add(limited, { rate: "1/m" });
    for (const far of others) add(far);
  }
  await using stage = await Stage.open({ chats, texts });
  // What a terminal prints does not say for which chat.
  for (const [name, destination] of stage.destinations) {
    const { post } = destination;
    destination.post = (claimed, given) => {
      const described = post(claimed, given);
      if (described.url === "console:") printed.get(name)?.printed.push("printed");
      return described;
    };
  }
  stage.announcing().sending();
  await stage.report("1");
  await stage.report("2");
  const all = [...shares.values()];
  await until(async () => all.every(({ limited, others }) => limited.shown().length >= 1 && others.every(hasBoth)));
  for (const { stuck } of all) await stuck?.arrived(1);
  for (const { stuck, limited, others } of all) for (const far of [stuck, limited, ...others]) far?.[Symbol.dispose]();
  return {
    of(column) {
      const share = shares.get(column);
      if (!share) throw new Error(`no share for ${column}`);
      return share;
    },
  };
}

const hasBoth = (far: Far): boolean => far.shown().length >= 2;

const count = (shares: Map<string, Share>): number =>
  [...shares.values()].reduce((sum, { stuck, others }) => sum + others.length + (stuck ? 2 : 1), 0);

function openedAt(column: Column | undefined, script?: Parameters<Column["open"]>[0]): Far {
  if (!column) throw new Error("no column");
  return column.open(script);
}

function shareOf(column: Column): Share {
  const each = Math.floor(size / columns.length);
  const never = { gate: gate() };
  return {
    stuck: column.kind === "console" ? null : openedAt(column, [never]),
    limited: openedAt(column),
    others: Array.from({ length: each - 2 }, () => openedAt(column)),
  };
}
