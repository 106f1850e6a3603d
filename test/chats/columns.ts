import { isObject, type JsonObject } from "../../src/core/json.ts";
import * as discord from "../fakes/discord.ts";
import * as googleChat from "../fakes/google-chat.ts";
import * as matrix from "../fakes/matrix.ts";
import * as bot from "../fakes/mattermost-bot.ts";
import * as mattermost from "../fakes/mattermost.ts";
import * as ntfy from "../fakes/ntfy.ts";
import * as openclaw from "../fakes/openclaw.ts";
import type { Injection, Received } from "../fakes/remote.ts";
import { openSlack } from "../fakes/slack.ts";
import { markupIn } from "../fakes/slack-blocks.ts";
import * as teams from "../fakes/teams.ts";
import * as telegram from "../fakes/telegram.ts";
import { openWebhook } from "../fakes/webhook.ts";
import type { Texts } from "../gateway/stage.ts";
import { webLink } from "../../src/core/text.ts";
import { canary } from "./sending.ts";
import { issue } from "./timeline.ts";

// Every kind of chat through its strict server, each seen in the same way: what people see there, and who knocked.

/** A message as it stands now. */
export interface Shown {
  text: string;
  edits: number;
}

/** The other side: a strict server, and how a gateway is told of it. */
export interface Far extends Disposable {
  /** The chat's entry in the configuration, and its secrets. */
  entry: JsonObject;
  texts: Texts;
  /** What is shown, oldest first. */
  shown(): Shown[];
  /** How many threads that is; 0 where each message stands for itself. */
  threads(): number;
  /** What the chat would make of strangers' texts: mentions, links, markup. */
  active(): string[];
  /** Deletes all messages; null where none can be lost. */
  forget: (() => void) | null;
  requests: Received[];
  faults: string[];
  arrived(count: number): Promise<Received[]>;
  /** Where a chat prints that is no server. */
  printed: string[];
  /** Lets the service's time run fast, for one that counts what comes in a second. */
  hurry(): void;
}

export interface Column {
  /** The kind, and which form of it. */
  name: string;
  kind: string;
  /** How many messages a request makes that was taken once without our hearing of it, and sent again. */
  afterSilence: 1 | 2;
  /** What the chat would make of a request's body, beside the links that are ours. */
  activeIn(body: JsonObject, ours: string[]): string[];
  open(script?: Injection[]): Far;
}

interface Server extends Disposable {
  requests: Received[];
  faults: string[];
  arrived(count: number): Promise<Received[]>;
}

const far = <S extends Server>(
  server: S,
  entry: JsonObject,
  texts: Texts,
  seen: Pick<Far, "shown" | "active"> & Partial<Far>,
): Far => ({
  entry,
  texts,
  requests: server.requests,
  faults: server.faults,
  arrived: server.arrived,
  threads: () => 0,
  forget: null,
  printed: [],
  hurry: () => {},
  [Symbol.dispose]: () => server[Symbol.dispose](),
  ...seen,
});

/** What is shown by a service that changes nothing. */
const listed = (posts: JsonObject[]): Shown[] => posts.map((post) => ({ text: JSON.stringify(post), edits: 0 }));

/** The links that a message may have, however strange: those that the house made. */
const ours = [issue, webLink(`https://ci.example/${canary}`) ?? ""];

const url = "chat/hook.url";
const token = "chat/bot.token";
const hurrying = (service: { clock: () => number }) => () => {
  const began = Date.now();
  let count = 0;
  service.clock = () => began + ++count * 60_000;
};

/** Texts are data in JSON; only the ready-made line is meant to be shown. */
const readyLine = ({ text }: JsonObject): string[] => String(text).match(/[@<](?!\u200B)|:\/\//g) ?? [];

const botPost = ({ message, props }: JsonObject): string[] =>
  mattermost.mentionsIn({ text: message ?? "", ...(isObject(props) && props) });

// A terminal obeys control characters, and reads nothing else.
const obeyed = /[\u0000-\u001F\u007F-\u009F\u202A-\u202E\u2066-\u2069]/g;

export const columns: Column[] = [
  {
    name: "mattermost, hook",
    kind: "mattermost",
    afterSilence: 2,
    activeIn: mattermost.mentionsIn,
    open(script = []) {
      const server = mattermost.openMattermost({ script });
      const active = () => server.posts.flatMap(mattermost.mentionsIn);
      return far(
        server,
        { kind: "mattermost", url },
        { [url]: server.url },
        { shown: () => listed(server.posts), active },
      );
    },
  },
  {
    name: "mattermost, bot",
    kind: "mattermost",
    afterSilence: 1, // the server knows a pending post for half a minute
    activeIn: botPost,
    open(script = []) {
      const server = bot.openMattermostBot({ script });
      const bodies = () => server.messages().map(({ message, props, edits }) => ({ text: message, ...props, edits }));
      return far(
        server,
        { kind: "mattermost", base_url: server.url, token, channel_id: bot.channel },
        { [token]: bot.token },
        {
          shown: () => bodies().map(({ edits, ...body }) => ({ text: JSON.stringify(body), edits })),
          active: () => bodies().flatMap(({ edits: _edits, ...body }) => mattermost.mentionsIn(body)),
          forget: server.forget,
        },
      );
    },
  },
  ...(["hook", "bot"] as const).map((form): Column => ({
    name: `slack, ${form}`,
    kind: "slack",
    afterSilence: 2,
    activeIn: markupIn,
    open(script = []) {
      const server = openSlack({ script });
      const entry = form === "hook" ? { url } : { token, channel: "#builds", base_url: server.base_url };
      return far(
        server,
        { kind: "slack", ...entry },
        form === "hook" ? { [url]: server.url } : { [token]: server.token },
        {
          shown: () => server.messages.map(({ body, edits }) => ({ text: JSON.stringify(body), edits })),
          active: () => server.posts.flatMap(markupIn),
          forget: form === "hook" ? null : server.forget,
          hurry: hurrying(server),
        },
      );
    },
  })),
  {
    name: "matrix",
    kind: "matrix",
    afterSilence: 1,
    activeIn: matrix.activeIn,
    open(script = []) {
      const server = matrix.openMatrix({ script });
      return far(
        server,
        { kind: "matrix", base_url: server.url, room: matrix.room, token },
        { [token]: matrix.token },
        {
          shown: () => server.messages().map(({ content, edits }) => ({ text: JSON.stringify(content), edits })),
          active: () => server.messages().flatMap(({ content }) => matrix.activeIn(content, ours)),
          forget: server.forget,
        },
      );
    },
  },
  {
    name: "telegram",
    kind: "telegram",
    afterSilence: 2,
    activeIn: telegram.activeIn,
    open(script = []) {
      const server = telegram.openTelegram({ script });
      return far(
        server,
        { kind: "telegram", base_url: server.url, chat_id: telegram.chat, token },
        { [token]: telegram.token },
        {
          shown: () => server.messages().map(({ body, edits }) => ({ text: String(body.text), edits })),
          active: () => server.messages().flatMap(({ body }) => telegram.activeIn(body, ours)),
          forget: server.forget,
        },
      );
    },
  },
  {
    name: "ntfy",
    kind: "ntfy",
    afterSilence: 1,
    activeIn: ntfy.activeIn,
    open(script = []) {
      const server = ntfy.openNtfy({ script });
      return far(
        server,
        { kind: "ntfy", base_url: server.url, topic: ntfy.topic, token },
        { [token]: ntfy.token },
        {
          shown: () => server.messages().map(({ body, edits }) => ({ text: JSON.stringify(body), edits })),
          active: () => server.messages().flatMap(({ body }) => ntfy.activeIn(body, ours)),
        },
      );
    },
  },
  {
    name: "teams",
    kind: "teams",
    afterSilence: 2,
    activeIn: (body) => teams.mentionsIn(body),
    open(script = []) {
      const server = teams.openTeams({ script });
      const active = () => server.posts.flatMap((post) => teams.mentionsIn(post));
      return far(server, { kind: "teams", url }, { [url]: server.url }, { shown: () => listed(server.posts), active });
    },
  },
  {
    name: "google-chat",
    kind: "google-chat",
    afterSilence: 1, // the request's id is known
    activeIn: googleChat.mentionsIn,
    open(script = []) {
      const server = googleChat.openGoogleChat({ script });
      return far(
        server,
        { kind: "google-chat", url },
        { [url]: server.url },
        {
          shown: () => listed(server.posts),
          active: () => server.posts.flatMap(googleChat.mentionsIn),
          threads: () => new Set(server.threads).size,
        },
      );
    },
  },
  {
    name: "webhook",
    kind: "webhook",
    afterSilence: 1, // a receiver counts each id once
    activeIn: readyLine,
    open(script = []) {
      const server = openWebhook({ script });
      const key = "chat/signing.key";
      const active = () => server.posts.flatMap(readyLine);
      return far(
        server,
        { kind: "webhook", url, key },
        { [url]: server.url, [key]: server.key },
        { shown: () => listed(server.posts), active },
      );
    },
  },
  {
    name: "openclaw",
    kind: "openclaw",
    afterSilence: 2,
    activeIn: ({ args }) => openclaw.mentionsIn(isObject(args) ? args : {}),
    open(script = []) {
      const server = openclaw.openOpenclaw({ script });
      return far(
        server,
        { kind: "openclaw", base_url: server.url, token, channel: "slack", target: "channel:C0BUILDS" },
        { [token]: server.token },
        { shown: () => listed(server.posts), active: () => server.posts.flatMap(openclaw.mentionsIn) },
      );
    },
  },
  {
    name: "discord",
    kind: "discord",
    afterSilence: 2,
    activeIn: discord.markupIn,
    open(script = []) {
      const server = discord.openDiscord({ script });
      return far(
        server,
        { kind: "discord", url },
        { [url]: server.url },
        {
          shown: () =>
            server.messages.map(({ content, embeds, edits }) => ({ text: JSON.stringify({ content, embeds }), edits })),
          active: () => server.posts.flatMap(discord.markupIn),
          forget: server.forget,
          hurry: hurrying(server),
        },
      );
    },
  },
  {
    name: "console",
    kind: "console",
    afterSilence: 2,
    activeIn: ({ text }) => String(text).match(obeyed) ?? [],
    open() {
      const printed: string[] = [];
      const none = { requests: [], faults: [], arrived: async () => [], [Symbol.dispose]: () => {} };
      return far(
        none,
        { kind: "console" },
        {},
        {
          shown: () => printed.map((text) => ({ text, edits: 0 })),
          active: () => printed.flatMap((line) => line.match(obeyed) ?? []),
          printed,
        },
      );
    },
  },
];
