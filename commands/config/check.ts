import { defineCommand } from "citty";
import { checkFiles, type Config, examineConfig, refused } from "../../src/config.ts";
import { configArgs, jsonArgs, print } from "../args.ts";

export default defineCommand({
  meta: { name: "check", description: "Say whether the configuration is valid, or everything that is wrong in it" },
  args: {
    secrets: { type: "boolean", description: "also check the secret and key files that it names" },
    ...configArgs,
    ...jsonArgs,
  },
  async run({ args }) {
    const { name, file, problems, loaded } = await examineConfig({ file: args.config });
    if (args.json) print(JSON.stringify({ file, valid: problems.length === 0, problems }));
    if (!loaded) throw refused(name, problems);
    if (args.secrets) checkFiles(loaded.config, loaded.vault);
    if (!args.json) print(`${name} is valid: ${contents(loaded.config)}`);
  },
});

function contents(config: Config): string {
  const counted = (["sources", "lanes", "chats", "pagers"] as const).map((section) => {
    const count = Object.keys(config[section]).length;
    return `${count} ${count === 1 ? section.slice(0, -1) : section}`;
  });
  return counted.join(", ");
}
