import { defineCheck } from "./check.ts";

/** Says what `config check` would. */
export const configuration = defineCheck({
  name: "configuration",
  on: "any",
  faults: {
    "config-missing": { severity: "error", breaks: "no command knows what to do" },
    "config-invalid": { severity: "error", breaks: "serve, work and notify refuse to start" },
  },
  async look({ file, problems }) {
    if (file === null) {
      return [
        {
          id: "config-missing",
          about: "meshmac.config.yaml",
          says: problems[0]?.says ?? "there is no configuration where one was looked for",
          fix: "write one (meshmac init), name one with --config FILE, or set MESHMAC_CONFIG_ROOT to its folder",
        },
      ];
    }
    return problems.map(({ path, says }) => ({
      id: "config-invalid" as const,
      about: path === "" ? file : path,
      says,
      fix: `correct it in ${file}, then: meshmac config check`,
    }));
  },
});
