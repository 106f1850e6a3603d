import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Subprocess } from "bun";
import type { Json, JsonObject } from "../../src/core/json.ts";

const binary = process.env.MESHMAC_BINARY ?? join(import.meta.dir, "../../dist/meshmac");
const patience = 30_000;

// Real processes on a busy machine: what `eventually` waits for may take as long as it says.
if (process.env.NODE_ENV === "test") (await import("bun:test")).setDefaultTimeout(2 * patience);

/** Answers as soon as `check` gives something other than undefined, null or false; fails with `what` after 30 s, or after as many milliseconds as are given. */
export async function eventually<T>(
  what: string,
  check: () => T | Promise<T>,
  within = patience,
): Promise<NonNullable<T>> {
  const end = performance.now() + within;
  for (;;) {
    const found = await check();
    if (found !== undefined && found !== null && found !== false) return found as NonNullable<T>;
    if (performance.now() > end) throw new Error(`never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** One line of a JSON log. */
export type Line = { level: string; msg: string; [field: string]: Json };

/** A real process of the compiled binary, with its log as it comes. */
export class Process {
  readonly child: Subprocess<"ignore", "pipe", "pipe">;
  stdout = "";
  stderr = "";
  readonly lines: Line[] = [];

  /** `under` is what runs it: `["prlimit", "--fsize=65536"]`. */
  constructor(args: string[], cwd: string, env: Record<string, string> = {}, under: string[] = []) {
    this.child = Bun.spawn([...under, binary, ...args], {
      cwd,
      env: { PATH: process.env.PATH ?? "", HOME: cwd, USER: "builder", ...env },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    void this.#read(this.child.stdout, (text) => (this.stdout += text));
    let rest = "";
    void this.#read(this.child.stderr, (text) => {
      this.stderr += text;
      const whole = (rest + text).split("\n");
      rest = whole.pop() ?? "";
      for (const line of whole) if (line.startsWith("{")) this.lines.push(JSON.parse(line) as Line);
    });
  }

  async #read(stream: ReadableStream<Uint8Array>, take: (text: string) => void): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of stream) take(decoder.decode(chunk, { stream: true }));
  }

  /** The first log line with this message, waiting for it; fails when the process ends before. */
  said(message: string): Promise<Line> {
    return eventually(`"${message}" in the log; it said:\n${this.stderr.slice(-2000)}`, () => {
      const line = this.lines.find(({ msg }) => msg === message);
      if (!line && this.child.exitCode !== null)
        throw new Error(`ended with ${this.child.exitCode}: ${this.stderr.slice(-2000)}`);
      return line;
    });
  }

  async kill9(): Promise<void> {
    this.child.kill("SIGKILL");
    await this.child.exited;
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<number> {
    this.child.kill(signal);
    return await this.child.exited;
  }
}

export const tokens = {
  jira: "jira-canary-0123456789abcdef0123456789abcdef",
  youtrack: "yt-canary-00112233445566778899aabbccddeeff00",
  jiraRest: "jira-rest-canary-aabbccddeeff00112233445566",
  youtrackRest: "yt-rest-canary-aabbccddeeff001122334455667788",
};

export interface Wishes {
  store?: string;
  mattermost?: string;
  jira?: string;
  youtrack?: string;
  scripts?: Record<string, string>;
  config?: JsonObject;
}

/** A folder with a configuration, its secrets and scripts, and the processes started in it; everything goes on `close`. */
export class Household {
  readonly dir = mkdtempSync(join(tmpdir(), "meshmac-house-"));
  readonly #processes: Process[] = [];

  constructor(wishes: Wishes = {}) {
    const { config = {}, scripts = { "build-ios": "#!/bin/sh\necho building\n" } } = wishes;
    for (const [name, body] of Object.entries(scripts)) this.write(`scripts/${name}.sh`, body, 0o755);
    this.secret("jira/inbound.token", tokens.jira);
    this.secret("youtrack/inbound.token", tokens.youtrack);
    this.secret("jira/rest.token", tokens.jiraRest);
    this.secret("youtrack/rest.token", tokens.youtrackRest);
    if (wishes.mattermost) this.secret("mattermost/builds.url", wishes.mattermost);
    const task = {
      script: "build-ios",
      lane: "ios",
      repo: "app",
      ref: { from: "fields.customfield_10042", default: "main" },
    };
    const on = ["failed", "dead"];
    this.write(
      "meshmac.config.json",
      JSON.stringify({
        pool: "acme-ios",
        store: wishes.store ?? "sqlite:./state/meshmac.db",
        state_dir: "./state",
        gateway: { listen: "127.0.0.1:0", admin: { listen: "127.0.0.1:0" }, drain_delay: "0s" },
        repos: { app: "git@git.example:acme/app.git" },
        lanes: { ios: {} },
        sources: {
          jira: {
            kind: "jira",
            path: "/jira/openclaw",
            token: "jira/inbound.token",
            build_when: [{ status: ["Building", "Ready for build"], labels: ["ci-build", "ci-nightly"] }],
            task,
            ...(wishes.jira && {
              comment: { site: wishes.jira, api: "cloud", email: "bot@acme.example", token: "jira/rest.token", on },
            }),
          },
          youtrack: {
            kind: "youtrack",
            path: "/youtrack/webhook",
            token: "youtrack/inbound.token",
            build_when: [{ event: ["issueUpdated"], changed: { Stage: ["Building"] } }],
            task: { ...task, ref: "main" },
            ...(wishes.youtrack && { comment: { site: wishes.youtrack, token: "youtrack/rest.token", on } }),
          },
        },
        chats: wishes.mattermost
          ? {
              builds: {
                kind: "mattermost",
                url: "mattermost/builds.url",
                states: ["queued", "running", "succeeded", "failed", "cancelled", "dead"],
                rate: "1000/s", // no test waits for the rate of its kind
              },
            }
          : {},
        retry: { base_delay_ms: 20, max_delay_ms: 200 },
        node: { id: "mac-07" },
        ...config,
      }),
      0o600,
    );
  }

  write(path: string, body: string, mode: number): void {
    const file = join(this.dir, path);
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    writeFileSync(file, body);
    chmodSync(file, mode);
  }

  secret(name: string, value: string): void {
    this.write(`secrets.d/${name}`, `${value}\n`, 0o600);
  }

  get config(): string {
    return join(this.dir, "meshmac.config.json");
  }

  start(args: string[], env: Record<string, string> = {}, under: string[] = []): Process {
    const started = new Process([...args, "--config", this.config], this.dir, env, under);
    this.#processes.push(started);
    return started;
  }

  /** A gateway that is listening, with the addresses it took. */
  async serve(env: Record<string, string> = {}): Promise<Process & { url: string; admin: string }> {
    const gateway = this.start(["serve"], env);
    const { public_url, admin_url } = await gateway.said("gateway listening");
    return Object.assign(gateway, { url: String(public_url), admin: String(admin_url) });
  }

  async work(env: Record<string, string> = {}): Promise<Process> {
    const worker = this.start(["work"], env);
    await worker.said("worker started");
    return worker;
  }

  /** Runs a short command to its end. */
  async run(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
    const command = this.start(args);
    const code = await command.child.exited;
    await eventually("the end of the output", () => command.stdout !== "" || command.stderr !== "" || code === 0);
    return { code, stdout: command.stdout, stderr: command.stderr };
  }

  async close(): Promise<void> {
    for (const { child } of this.#processes) {
      child.kill("SIGCONT");
      child.kill("SIGKILL");
    }
    await Promise.all(this.#processes.map(({ child }) => child.exited));
    rmSync(this.dir, { recursive: true, force: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** A Jira Automation body, "Issue data" format, of an issue that is ready to build. */
export const jiraBody = (key: string, more: { labels?: string[]; status?: string; ref?: string } = {}): JsonObject => ({
  id: 10_061,
  key,
  changelog: { startAt: 0, maxResults: 0, total: 0, histories: null },
  fields: {
    summary: `Ship ${key}`,
    status: { id: 3, name: more.status ?? "Building", statusCategory: { key: "indeterminate" } },
    labels: more.labels ?? ["ci-build"],
    project: { id: 10_001, key: key.split("-")[0] ?? "", name: "Mobile" },
    issuetype: { id: 10_012, name: "Story" },
    ...(more.ref && { customfield_10042: more.ref }),
  },
});

/** A YouTrack delivery of the current shape: the Stage field moved to Building. */
export const youtrackBody = (key: string, stage = "Building"): JsonObject => ({
  event: "issueUpdated",
  timestamp: "2026-11-20T12:00:00.000Z",
  id: key,
  summary: `Ship ${key}`,
  project: { key: "MOB", name: "Mobile", shortName: "MOB" },
  description: "…",
  updated: 1_795_000_000_000,
  updatedBy: { login: "rene", fullName: "Rene Roe", email: "rene@acme.example" },
  changedFields: [
    { name: "Stage", oldValue: { name: "Open", presentation: "Open" }, value: { name: stage, presentation: stage } },
  ],
});

const doors = {
  jira: { path: "/jira/openclaw", header: "X-Meshmac-Jira-Token", token: tokens.jira },
  youtrack: { path: "/youtrack/webhook", header: "X-YouTrack-Token", token: tokens.youtrack },
};

export interface Answered {
  status: number;
  body: { status?: string; run_id?: string; reason?: string; correlation_id?: string; [key: string]: Json | undefined };
}

/** Posts a delivery as the tracker would. */
export async function deliver(
  gateway: string,
  door: keyof typeof doors,
  body: JsonObject | string,
  headers: Record<string, string> = {},
  tls?: { ca: string },
): Promise<Answered> {
  const { path, header, token } = doors[door];
  const answer = await fetch(gateway + path, {
    method: "POST",
    ...(tls && { tls }),
    headers: { "Content-Type": "application/json", [header]: token, ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
  return { status: answer.status, body: (await answer.json()) as Answered["body"] };
}

/** All the text under a folder, to look for what must not be there. */
export async function everything(dir: string): Promise<string> {
  const files = [...new Bun.Glob("**/*").scanSync({ cwd: dir, dot: true })].filter((path) =>
    existsSync(join(dir, path)),
  );
  const texts = files
    .filter((path) => !path.startsWith("secrets.d/") && !path.endsWith(".sock"))
    .map(async (path) => Buffer.from(await Bun.file(join(dir, path)).arrayBuffer()).toString("latin1"));
  return (await Promise.all(texts)).join("\n");
}
