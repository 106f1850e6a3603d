import { MeshError } from "../core/error.ts";
import { maskPatterns } from "../core/redact.ts";
import { isReserved, namesSecret } from "../core/variables.ts";

type Env = Record<string, string | undefined>;

const proxies = [
  "HTTPS_PROXY",
  "HTTP_PROXY",
  "ALL_PROXY",
  "NO_PROXY",
  "https_proxy",
  "http_proxy",
  "all_proxy",
  "no_proxy",
];
const others = ["NODE_EXTRA_CA_CERTS", "MESH_NODE_ID"];
// The worker gives a script these itself.
const given = new Set(["PATH", "HOME", "USER", "LANG", "TMPDIR"]);

/**
 * Picks what a service takes along of the environment that it is installed from: proxies, the extra authorities, the
 * node's id, and what `pass_env` names. A value that is, or by its name may be, a secret stays behind, and is named with
 * the reason. Throws `usage` for a proxy with a user or password in it, which would not work without.
 */
export function carried(
  env: Env,
  passEnv: string[],
): { environment: Record<string, string>; left: { name: string; why: string }[] } {
  const environment: Record<string, string> = {};
  const left: { name: string; why: string }[] = [];
  for (const name of proxies) {
    if (env[name]?.includes("@")) throw credentialsIn(name);
  }
  const passed = passEnv.filter((name) => !given.has(name) && !proxies.includes(name) && !others.includes(name));
  for (const name of [...proxies, ...others, ...passed]) {
    const value = env[name];
    if (value === undefined || value === "") continue;
    const why = passed.includes(name) ? whyNot(name, value) : null;
    if (why === null) environment[name] = value;
    else left.push({ name, why });
  }
  return { environment, left };
}

function whyNot(name: string, value: string): string | null {
  if (isReserved(name)) return "no script gets it";
  if (namesSecret(name)) return "its name says that it is a secret";
  return maskPatterns(`${name}=${value}`) === `${name}=${value}` ? null : "it looks like a secret";
}

const credentialsIn = (name: string): MeshError =>
  new MeshError(
    "usage",
    `${name} holds a user or a password, and everybody on this machine can read a service's file`,
    {
      hint: `use a proxy that asks for none, or name one per destination (proxy: in the configuration), and run this with ${name} unset`,
    },
  );
