import { type Config, type Loaded, loadConfig, secretsOf } from "../../src/config.ts";
import { MeshError } from "../../src/core/error.ts";
import type { Report } from "../../src/core/records.ts";
import { masksOf } from "../../src/gateway/masked-store.ts";
import { notify, type Notified } from "../../src/gateway/notify.ts";
import { previewsOf } from "../../src/gateway/notify-preview.ts";
import { type PageTrial, tryPager } from "../../src/gateway/notify-page.ts";
import { tryChat } from "../../src/gateway/notify-trial.ts";
import { log, redactLog, setLogLevel } from "../../src/log.ts";
import type { Vault } from "../../src/secrets.ts";
import { openToLook } from "../../src/stores/open.ts";
import { print } from "../args.ts";
import { type Asked, checkChat, checkModes, reportFrom, testedOf } from "./asked.ts";
import { chatOf, describePreview, describeTrial, describeTold, reasonsOf } from "./text.ts";

/** Does what the flags ask: tells a report, shows what would be sent, or sends a test post. */
export async function notifyFrom(asked: Asked): Promise<void> {
  checkModes(asked);
  const report = asked.test === undefined ? reportFrom(asked, crypto.randomUUID()) : null;
  const loaded = await loadConfig({ file: asked.config });
  const { config, vault } = loaded;
  // A node may know no chat; its gateway does.
  if (asked.chat !== undefined && Object.keys(config.chats).length > 0) checkChat(asked.chat, config.chats);
  if (!process.env.MESHMAC_LOG_LEVEL) setLogLevel("warn");
  learnSecrets(config, vault);
  redactLog(masksOf(vault).text);
  const json = asked.json === true;
  if (report === null) return await test(asked, loaded, json);
  report.mesh_node_id ??= config.node.id;
  if (asked["dry-run"]) return show(loaded, report, json);
  const notified = await notify({ config, vault, report, print: json ? onStderr : print });
  tell(notified, report, json);
}

function tell({ outcome, sender, posts }: Notified, report: Report, json: boolean): void {
  const { provider_run_id, state } = report;
  const told = posts.map((post) => ({ chat: chatOf(post), ...post }));
  if (json) print(JSON.stringify({ outcome, sender, provider_run_id, state, posts: told }));
  else for (const line of describeTold({ outcome, sender, posts }, report)) print(line);
  if (outcome === "dead") {
    const [first] = posts.filter(({ status }) => status === "dead");
    throw new MeshError("unavailable", `not told: ${reasonsOf(posts)}`, {
      ...(first && { hint: `meshmac notify --test ${chatOf(first)} shows what the chat answers` }),
    });
  }
  if (outcome === "later") {
    throw new MeshError("later", `not told yet: ${reasonsOf(posts) || "no gateway took the report up"}`, {
      hint: `the report is stored; ${sender === "gateway" ? "the gateway goes on trying" : "a gateway goes on trying, once one is started"}`,
    });
  }
}

function show({ config, vault }: Loaded, report: Report, json: boolean): void {
  const requests = previewsOf({ config, vault, report }, Date.now());
  if (json)
    return print(JSON.stringify({ requests: requests.map(({ request, ...chat }) => ({ ...chat, ...request })) }));
  if (requests.length > 0) return print(requests.map(describePreview).join("\n\n"));
  print(
    Object.keys(config.chats).length === 0
      ? "no chat is configured here: the report would be handed in, for a gateway to tell"
      : `no chat hears ${report.state} of notify`,
  );
}

async function test(asked: Asked, loaded: Loaded, json: boolean): Promise<void> {
  const { config, vault } = loaded;
  const tested = testedOf(asked.test ?? "", config);
  const how = { config, vault, plain: asked.plain === true, print: json ? onStderr : print };
  if ("pager" in tested) return testPage(await tryPager({ ...how, ...tested }), json);
  const trial = await tryChat({ ...how, ...tested });
  print(json ? JSON.stringify(trial) : describeTrial(trial.chat, trial));
  if (trial.sent) await proved(loaded);
  if (!trial.sent) throw refusedTest(`chat ${trial.chat} did not take the test post`, trial.hint);
}

/** Writes down where everybody can see it that the values that were just sent are taken; a test is none the worse without. */
async function proved({ config, vault }: Loaded): Promise<void> {
  try {
    const store = await openToLook(config);
    try {
      for (const use of vault.uses().filter(({ taken }) => taken !== undefined))
        await store.tally(`${config.node.id}/notify ${use.secret}`, [use]);
    } finally {
      await store.close();
    }
  } catch (fault) {
    if (!(fault instanceof MeshError) || fault.kind === "bug") throw fault;
    log.info("test post not remembered", { why: fault.message });
  }
}

function testPage(trial: PageTrial, json: boolean): void {
  print(json ? JSON.stringify(trial) : describeTrial(trial.pager, trial));
  if (!trial.sent) throw refusedTest(`pager ${trial.pager} did not take the test page`, trial.hint);
  if (trial.resolved === false)
    throw refusedTest(`pager ${trial.pager} took the test page, but not its end: close it by hand`, trial.hint);
}

const refusedTest = (message: string, hint: string | null): MeshError =>
  new MeshError("unavailable", message, { ...(hint !== null && { hint }) });

/** Reads the secrets that can be read, so that none of them leaves; on a node there may be none. */
function learnSecrets(config: Config, vault: Vault): void {
  for (const { secret } of secretsOf(config)) {
    try {
      vault.read(secret.name);
    } catch {
      // whoever needs it will say so
    }
  }
}

const onStderr = (line: string): void => void process.stderr.write(`${line}\n`);
