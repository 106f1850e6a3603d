import { defineCommand } from "citty";
import { openArchive } from "../src/archive.ts";
import { checkFiles, loadConfig } from "../src/config.ts";
import { openGateway } from "../src/gateway/gateway.ts";
import { openOwned } from "../src/stores/open.ts";
import { configArgs, print } from "./args.ts";

import { onSignals, outliveHangUp } from "./signals.ts";

export default defineCommand({
  meta: { name: "serve", description: "Run the gateway: doors, announcements, comments, admin side" },
  args: configArgs,
  async run({ args }) {
    outliveHangUp();
    const loaded = await loadConfig({ file: args.config });
    const { config, vault } = loaded;
    checkFiles(config, vault);
    const archive = await openArchive(config.logs.archive);
    const store = await openOwned({ ...config, archive });
    const gateway = await openGateway({ ...loaded, store, archive, print });
    await new Promise<void>((resolve) => {
      onSignals(
        () => void gateway.drain().then(resolve),
        () => void gateway.stop().then(resolve),
        () => gateway.reload(),
      );
    });
    await store.close();
  },
});
