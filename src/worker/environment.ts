import { homedir, tmpdir } from "node:os";
import { isReserved } from "../core/variables.ts";
import type { Lease } from "../stores/store.ts";
import { systemUser } from "../user.ts";
import type { NodeOptions } from "./house.ts";

const longestValue = 8192;
const parameterName = /^[A-Za-z][A-Za-z0-9_]{0,63}$/;

interface Files {
  task: string;
  result: string;
}

interface Around {
  node: NodeOptions;
  /** The worker's own environment, of which only what is named here goes on. */
  own: Record<string, string | undefined>;
  /** True for a text that holds a value of the worker's own, which no script gets. */
  isOwn: (text: string) => boolean;
}

/** Builds a script's environment from nothing: the machine's five, `pass_env`, and what the task says. */
export function environmentOf(lease: Lease, files: Files, { node, own, isOwn }: Around): Record<string, string> {
  const { task, attempt } = lease;
  const passed = node.pass_env.filter((name) => !isReserved(name)).map((name) => [name, own[name]] as const);
  const machine = {
    PATH: own.PATH ?? "/usr/bin:/bin:/usr/sbin:/sbin",
    HOME: own.HOME ?? homedir(),
    USER: own.USER || systemUser(),
    LANG: own.LANG ?? "en_US.UTF-8",
    TMPDIR: own.TMPDIR ?? tmpdir(),
  };
  const said: Record<string, string> = {
    MESHMAC_RUN_ID: task.run_id,
    MESHMAC_ATTEMPT: String(attempt),
    MESHMAC_ISSUE_KEY: task.issue_key,
    MESHMAC_PROJECT: task.project,
    MESHMAC_REPO_URL: task.repo_url,
    MESHMAC_REF: task.ref,
    MESHMAC_SCRIPT: task.script,
    MESHMAC_LANE: task.lane,
    MESHMAC_NODE_ID: node.id,
    MESH_NODE_ID: node.id,
    MESHMAC_REQUESTED_BY: task.requested_by,
    MESHMAC_CORRELATION_ID: task.correlation_id,
    MESHMAC_RUN_URL: lease.run_url ?? "",
    MESHMAC_TASK_FILE: files.task,
    MESHMAC_RESULT_FILE: files.result,
  };
  for (const [name, value] of Object.entries(task.params)) {
    if (parameterName.test(name)) said[`MESHMAC_PARAM_${name.toUpperCase()}`] = value;
  }
  const environment: Record<string, string> = {};
  for (const [name, value] of [...passed, ...Object.entries(machine)]) {
    if (value !== undefined && !value.includes("\0") && !isOwn(value)) environment[name] = value;
  }
  for (const [name, value] of Object.entries(said)) environment[name] = fit(value);
  return environment;
}

/** One value as an environment can hold it: control characters as blanks, at most 8 KiB of UTF-8, no half character. */
export function fit(value: string): string {
  const plain = value.toWellFormed().replace(/[\u0000-\u001F\u007F-\u009F]/g, " ");
  if (plain.length * 3 <= longestValue) return plain;
  const { read } = new TextEncoder().encodeInto(plain, new Uint8Array(longestValue));
  return plain.slice(0, read);
}
