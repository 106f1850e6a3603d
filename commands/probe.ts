import { defineCommand } from "citty";
import { configArgs, jsonArgs } from "./args.ts";

export default defineCommand({
  meta: { name: "probe", description: "Ask a gateway's doors what their senders rely on; nothing is built" },
  args: {
    url: {
      type: "string",
      description: "the gateway; default: its public_url, else where it listens",
      valueHint: "url",
    },
    suite: {
      type: "enum",
      options: ["smoke", "security", "all"],
      default: "smoke",
      description: "what to ask",
    },
    source: { type: "string", description: "only this source; without a configuration: its kind", valueHint: "name" },
    fixtures: { type: "string", description: "replay the recorded exchanges in this folder instead", valueHint: "dir" },
    self: { type: "boolean", description: "probe a throw-away gateway of this very program" },
    header: { type: "string", description: "without a configuration: the header of the token", valueHint: "name" },
    "token-file": { type: "string", description: "without a configuration: the file of the token", valueHint: "file" },
    "ca-file": { type: "string", description: "the authority of the gateway's certificate", valueHint: "file" },
    "client-cert": {
      type: "string",
      description: "our certificate, where the gateway asks for one",
      valueHint: "file",
    },
    "client-key": { type: "string", description: "the key of --client-cert", valueHint: "file" },
    proxy: { type: "string", description: "the HTTP proxy that leads there", valueHint: "url" },
    outbound: { type: "boolean", description: "check what each chat would be sent instead" },
    send: { type: "boolean", description: "with --outbound: send a test to each chat" },
    junit: { type: "string", description: "also write JUnit XML", valueHint: "file" },
    ...configArgs,
    ...jsonArgs,
  },
  async run({ args }) {
    const { probeFrom } = await import("./probe/run.ts");
    return await probeFrom(args);
  },
});
