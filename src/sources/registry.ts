import { github } from "./github.ts";
import { gitlab } from "./gitlab.ts";
import { jira } from "./jira.ts";
import { linear } from "./linear.ts";
import type { Source } from "./source.ts";
import { webhook } from "./webhook.ts";
import { youtrack } from "./youtrack.ts";

// Every system that may knock. To add one: a file beside this one, a line here, a folder of fixtures.
export const sources: Source[] = [jira, youtrack, github, gitlab, linear, webhook] as unknown as Source[];
