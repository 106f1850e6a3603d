import type { Pager } from "./pager.ts";
import { pagerduty } from "./pagerduty.ts";
import { webhook } from "./webhook.ts";

// Every pager we speak. To add one: a file beside this one, a line here, a folder of fixtures.
export const pagers: Pager[] = [pagerduty, webhook] as unknown as Pager[];
