import { isObject } from "../core/json.ts";
import type { NodeRow } from "../stores/store.ts";
import { live, textFact } from "./silence.ts";
import { defineCheck, type Finding } from "./check.ts";

type Id = "node-version-skew" | "node-script-differs";

const day = 86_400_000;

/**
 * Compares the nodes of the pool with each other and with its gateways. A node over HTTPS sees itself only: there its gateway's
 * doctor says it.
 */
export const nodePool = defineCheck<Id>({
  name: "nodes of the pool",
  on: ["gateway", "node"],
  faults: {
    "node-version-skew": { severity: "warning", breaks: "a build may go otherwise there than elsewhere in the pool" },
    "node-script-differs": { severity: "warning", breaks: "one build has two outcomes, by the node that takes it" },
  },
  async look(scene) {
    if (scene.config.node.connect !== undefined) return [];
    const store = await scene.store();
    const [rows, gateways] = await Promise.all([store.nodes(), store.gateways()]);
    const nodes = rows.filter(({ last_seen }) => scene.now() - last_seen < day);
    const versions = live(gateways).map((row) => textFact(row, "version") ?? "unknown");
    return [...skewed(nodes, [...new Set(versions)]), ...differing(nodes)];
  },
});

function skewed(nodes: NodeRow[], versions: string[]): Finding<Id>[] {
  // Without a gateway to go by, the version that most nodes have is the pool's.
  const [usual] = [...Map.groupBy(nodes, ({ facts }) => facts.version)].toSorted(([, a], [, b]) => b.length - a.length);
  const [said, right] = versions.length > 0 ? ["the gateways run", versions] : ["most nodes run", [usual?.[0] ?? ""]];
  return nodes
    .filter(({ facts }) => !right.includes(facts.version))
    .map(({ node, facts }) => ({
      id: "node-version-skew",
      about: node,
      says: `its worker is meshmac ${facts.version}, ${said} ${right.join(", ")}`,
      fix: "install the newest one everywhere and restart",
    }));
}

function differing(nodes: NodeRow[]): Finding<Id>[] {
  const kept = nodes.flatMap(({ node, facts }) =>
    Object.entries(isObject(facts.script_hashes) ? facts.script_hashes : {}).flatMap(([script, hash]) =>
      typeof hash === "string" ? [{ node, script, hash }] : [],
    ),
  );
  return [...Map.groupBy(kept, ({ script }) => script)].flatMap(([script, copies]) => {
    const kinds = [...Map.groupBy(copies, ({ hash }) => hash)];
    if (kinds.length < 2) return [];
    const said = kinds.map(([hash, same]) => `${hash.slice(0, 8)} on ${same.map(({ node }) => node).join(", ")}`);
    const fix = `bring ${script} to all of them from one repository; compare with: shasum -a 256`;
    return [{ id: "node-script-differs" as const, about: script, says: `it is ${said.join("; ")}`, fix }];
  });
}
