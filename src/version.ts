import { version as packaged } from "../package.json" with { type: "json" };

/** The version that `--version`, health and the User-Agent name. */
export const version: string = packaged;
