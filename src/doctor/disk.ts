import { defineCheck } from "./check.ts";

const gib = 1024 ** 3;

/** Looks whether there is room left where logs and the embedded store lie. */
export const disk = defineCheck({
  name: "disk",
  on: "gateway",
  faults: { "disk-low": { severity: "error", breaks: "soon no delivery can be stored and no log kept" } },
  async look({ config: { state_dir }, space }) {
    const { free, total } = await space(state_dir);
    if (free >= gib && free >= total / 20) return [];
    const share = total === 0 ? 0 : Math.floor((100 * free) / total);
    return [
      {
        id: "disk-low" as const,
        about: state_dir,
        says: `${(free / gib).toFixed(1)} GiB are free there, ${share} % of the disk`,
        fix: "free some, or keep less: set keep.logs and keep.runs shorter",
      },
    ];
  },
});
