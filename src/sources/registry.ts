import { jira } from "./jira.ts";
import type { Source } from "./source.ts";
import { youtrack } from "./youtrack.ts";

// Every system that may knock. To add one: a file beside this one, a line here, a folder of fixtures.
export const sources: Source[] = [jira, youtrack] as unknown as Source[];
