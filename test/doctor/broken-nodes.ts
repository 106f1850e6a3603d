import { pmset } from "./machine.ts";
import { asks, onMac, onNode, script } from "./node.ts";
import type { Ward } from "./ward.ts";

/** For each finding about a node, what breaks exactly that thing. */
export const brokenNodes: Record<string, (ward: Ward) => void | Promise<void>> = {
  async "node-version-skew"(ward) {
    onNode(ward);
    await asks(ward, "mac-07");
    await asks(ward, "mac-08", { version: "0.0.9" });
  },
  async "node-script-differs"(ward) {
    onNode(ward);
    await asks(ward, "mac-07", { script_hashes: { "build-ios": "1f".repeat(32), test: "2e".repeat(32) } });
    await asks(ward, "mac-08", { script_hashes: { "build-ios": "3d".repeat(32), test: "2e".repeat(32) } });
  },
  "node-no-scripts": (ward) => onNode(ward, { scripts_dir: "./elsewhere" }),
  "node-script-missing"(ward) {
    onNode(ward);
    script(ward, "test.sh", "", 0o644);
  },
  "node-script-writable"(ward) {
    onNode(ward);
    script(ward, "test.sh", "", 0o757);
  },
  "node-talks-to-chat"(ward) {
    onNode(ward);
    script(ward, "test.sh", "curl -d '{}' https://hooks.slack.com/services/T0/B0/x\n");
  },
  "node-label-untrue"(ward) {
    onNode(ward, { labels: ["xcode-26", "xcode-16", "macos-26", "xcode-15.4", "fast", "xcode-beta"] });
    onMac(ward);
  },
  "node-clock-skew"(ward) {
    onNode(ward);
    ward.over = { now: () => Date.now() + 45_000 };
  },
  "node-disk-low"(ward) {
    onNode(ward);
    onMac(ward, {}, { room: async () => ({ bytes_free: 3e9, inodes: 0, inodes_free: 0 }) });
  },
  "node-inodes-low"(ward) {
    onNode(ward);
    onMac(ward, {}, { room: async () => ({ bytes_free: 3e12, inodes: 1000, inodes_free: 49 }) });
  },
  "node-sleeps": (ward) => onMac(ward, { "/usr/bin/pmset -g": pmset(10) }),
  "node-no-login-session": (ward) =>
    onMac(ward, {
      "/bin/launchctl print gui/501": { status: 113, err: "Could not find domain for user gui: 501" },
      "/usr/bin/stat -f %Su /dev/console": { out: "root\n" },
    }),
  "node-keychain-locked": (ward) =>
    onMac(ward, {
      "/usr/bin/security show-keychain-info": {
        status: 36,
        err: "security: SecKeychainCopySettings <NULL>: User interaction is not allowed.",
      },
    }),
  "node-local-network"(ward) {
    onNode(ward);
    ward.raw.store = "redis://10.0.0.5:6379/0";
    onMac(
      ward,
      { "/usr/bin/nc -z -G 3 10.0.0.5 6379": { status: 0 } },
      { knock: async (address) => ({ address, connects: false }) },
    );
  },
};
