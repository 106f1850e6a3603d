import { isObject, text } from "../core/json.ts";
import { defineCheck } from "./check.ts";
import { live } from "./silence.ts";

const day = 86_400_000;
const oldAfter = 7 * day;

/** Asks every live gateway how old the lists are by which it knows its senders' addresses. */
export const senders = defineCheck({
  name: "senders",
  on: "gateway",
  faults: {
    "sender-list-missing": { severity: "error", breaks: "deliveries to a door that allows only this sender get 503" },
    "sender-list-old": { severity: "warning", breaks: "addresses that the sender took since then get 403" },
  },
  async look(scene) {
    const rows = live(await (await scene.store()).gateways());
    return rows.flatMap(({ gateway, facts }) => {
      const lists = Array.isArray(facts.sender_lists) ? facts.sender_lists : [];
      return lists.filter(isObject).flatMap(({ name, fetched_at }) => {
        const about = `${gateway}: ${text(name)}`;
        const days = Math.floor((scene.now() - Number(fetched_at)) / day);
        if (fetched_at !== null && !(days * day >= oldAfter)) return [];
        return {
          id: fetched_at === null ? ("sender-list-missing" as const) : ("sender-list-old" as const),
          about,
          says:
            fetched_at === null
              ? `the addresses of ${text(name)} could not be fetched yet`
              : `the addresses of ${text(name)} were last fetched ${days} days ago`,
          fix: "let the gateway reach ip-ranges.atlassian.com (HTTPS_PROXY works), or name the ranges in allow_ips themselves",
        };
      });
    });
  },
});
