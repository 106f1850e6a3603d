import { cidrSet } from "../core/cidr.ts";
import type { Config } from "../config.ts";
import { defineCheck } from "./check.ts";

const isPrivate = cidrSet(["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7", "fe80::/10"]);

/** Asks whether macOS keeps this program, and only this one, from the machine that its pool lives on. */
export const nodeNetwork = defineCheck({
  name: "local network",
  on: "node",
  faults: {
    "node-local-network": {
      severity: "error",
      breaks: "the worker does not reach its pool, although everything else on this Mac does",
    },
  },
  async look({ config, platform, machine }) {
    if (platform !== "darwin") return [];
    const judged = await Promise.all(
      placesOf(config).map(async ({ host, port }) => {
        const { address, connects } = await machine.knock(host, port);
        if (connects || !isPrivate(address ?? host)) return [];
        // Apple's own programs are exempt: where it fails too, the other side is away, and the check of the store says so.
        const { status } = await machine.run("/usr/bin/nc", "-z", "-G", "3", host, String(port));
        if (status !== 0) return [];
        const says = "a connection of ours fails, one by macOS' own nc succeeds: that is Local Network privacy";
        const fix =
          "allow it in System Settings, Privacy & Security, Local Network (the program that started it), then restart the worker";
        return [{ id: "node-local-network" as const, about: `${host}:${port}`, says, fix }];
      }),
    );
    return judged.flat();
  },
});

/** Where the worker connects to, unless a proxy does it. */
function placesOf({ store, node }: Config): { host: string; port: number }[] {
  if (node.connect !== undefined) {
    const { hostname, port, protocol } = new URL(node.connect);
    const host = hostname.replace(/^\[|\]$/g, "");
    return node.proxy === undefined ? [{ host, port: Number(port) || (protocol === "http:" ? 80 : 443) }] : [];
  }
  return store.kind === "redis" ? store.hosts : [];
}
