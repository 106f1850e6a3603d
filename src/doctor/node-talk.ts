import { join, relative } from "node:path";
import { secretsOf } from "../config.ts";
import { defineCheck, type Finding, type Scene } from "./check.ts";
import { filesUnder, textOf } from "./files.ts";
import { flatPlist, isTalkName, talksIn } from "./talk.ts";

type Found = Finding<"node-talks-to-chat">;

const fix = "take it out and say it with: meshmac notify; the gateway alone holds such tokens. Renew one that was here";

/** Looks for addresses and tokens of chats and trackers where a build could find them. It tells where, never what. */
export const nodeTalk = defineCheck({
  name: "talk to chats",
  on: "node",
  faults: {
    "node-talks-to-chat": {
      severity: "error",
      breaks: "whoever can build here can write to the chat or the tracker as all of us",
    },
  },
  async look(scene) {
    const { node } = scene.config;
    const agents = join(scene.machine.home, "Library/LaunchAgents");
    return [
      ...(scene.role.gateway ? [] : [...configured(scene), ...kept(scene)]),
      ...node.pass_env
        .filter((name) => isTalkName(name))
        .map((name): Found => found("node.pass_env", `it passes ${name} on to every script`)),
      ...inEnvironment(scene),
      ...filesUnder(node.scripts_dir).flatMap((path) => inFile(path)),
      ...filesUnder(agents)
        .filter((path) => path.endsWith(".plist"))
        .flatMap((path) => inFile(path, flatPlist)),
    ];
  },
});

const found = (about: string, says: string): Found => ({ id: "node-talks-to-chat", about, says, fix });

/** What only a gateway reads. */
const configured = ({ config: { chats, pagers } }: Scene): Found[] =>
  Object.entries({ chats, pagers }).flatMap(([section, entries]) =>
    Object.keys(entries).map((name) =>
      found(`${section}.${name}`, "a node's configuration names what only a gateway uses"),
    ),
  );

/** Secrets that lie here although nothing in the configuration names them. */
function kept({ config }: Scene): Found[] {
  const named = new Set(secretsOf(config).map(({ secret }) => join(config.secrets_dir, secret.name)));
  return filesUnder(config.secrets_dir)
    .filter((path) => !named.has(path))
    .flatMap((path) => {
      const says = "by its name it is a secret of a chat or a tracker";
      // `jira/rest.token`: a token of its own says less than its folder.
      const isNamed = isTalkName(`${relative(config.secrets_dir, path).replaceAll(/\W/g, "_")}_token`);
      return isNamed ? [found(path, says)] : inFile(path);
    });
}

const inEnvironment = ({ env }: Scene): Found[] =>
  Object.entries(env).flatMap(([name, value = ""]) =>
    talksIn(`${name}=${value}`)
      .slice(0, 1)
      .map(({ kind }) => found(`the environment: ${name}`, `it holds ${kind}`)),
  );

function inFile(path: string, read = (text: string) => text): Found[] {
  const text = textOf(path);
  return text === null ? [] : talksIn(read(text)).map(({ kind, line }) => found(`${path}:${line}`, `it holds ${kind}`));
}
