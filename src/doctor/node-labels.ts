import { MeshError } from "../core/error.ts";
import type { Scene } from "./check.ts";
import { defineCheck } from "./check.ts";
import type { Machine } from "./machine.ts";

const judged = /^(xcode|macos)-(\d+(?:\.\d+)*)$/;

/** Compares the labels of a Mac with what is installed on it. A label of another shape is not judged. */
export const nodeLabels = defineCheck({
  name: "labels",
  on: "node",
  faults: {
    "node-label-untrue": { severity: "error", breaks: "this node takes builds that it cannot make as they are meant" },
  },
  async look({ config, platform, machine }: Scene) {
    const labels = config.node.labels.flatMap((label) => {
      const [, what = "", wanted = ""] = judged.exec(label) ?? [];
      return what === "" ? [] : [{ label, what, wanted }];
    });
    if (platform !== "darwin" || labels.length === 0) return [];
    const has = { xcode: await xcodes(machine, labels), macos: [await macos(machine)] };
    return labels.flatMap(({ label, what, wanted }) => {
      const there = what === "xcode" ? has.xcode : has.macos;
      if (there.some((version) => `${version}.`.startsWith(`${wanted}.`))) return [];
      const named = what === "xcode" ? "Xcode" : "macOS";
      const says = there.length === 0 ? `there is no ${named} here` : `${named} here is ${there.join(", ")}`;
      const fix = `take ${label} out of node.labels, or install it, then restart the worker`;
      return [{ id: "node-label-untrue" as const, about: label, says, fix }];
    });
  },
});

async function macos({ run }: Machine): Promise<string> {
  const { out } = await run("/usr/bin/sw_vers", "-productVersion");
  if (!/^\d+(\.\d+)*$/.test(out.trim())) throw new MeshError("unavailable", "sw_vers did not say which macOS this is");
  return out.trim();
}

/** The Xcode that is chosen, and those beside it that a script may choose with DEVELOPER_DIR. */
async function xcodes({ run }: Machine, labels: { what: string }[]): Promise<string[]> {
  if (!labels.some(({ what }) => what === "xcode")) return [];
  // Where only the command line tools are installed, it fails.
  const chosen = /^Xcode (\d+(?:\.\d+)*)/m.exec((await run("/usr/bin/xcodebuild", "-version")).out)?.[1];
  const apps = (await run("/bin/ls", "/Applications")).out.split("\n").filter((name) => /^Xcode.*\.app$/.test(name));
  const others = await Promise.all(
    apps.map((app) =>
      run("/usr/bin/defaults", "read", `/Applications/${app}/Contents/version`, "CFBundleShortVersionString"),
    ),
  );
  const versions = [chosen ?? "", ...others.map(({ out }) => out.trim())];
  return [...new Set(versions.filter((version) => /^\d+(\.\d+)*$/.test(version)))];
}
