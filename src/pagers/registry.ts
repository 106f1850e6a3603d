import { pagerduty } from "./pager.ts";

// Every pager the configuration may name.
export const pagers = [pagerduty];
