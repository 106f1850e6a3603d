import type { Machine } from "../../src/doctor/machine.ts";
import type { Ran } from "../../src/programs.ts";

/** What a Mac's own programs answer, by their command line; changed by a test to what it would be on an ill one. */
export type Answers = Record<string, Partial<Ran>>;

/** A machine of which nothing is wrong, but for what `answers` and `over` say otherwise. */
export const wellMachine = (home: string, answers: Answers = {}, over: Partial<Machine> = {}): Machine => ({
  uid: 501,
  home,
  async run(program, ...args) {
    const line = [program, ...args].join(" ");
    const answer = { ...wellAnswers, ...answers }[line];
    if (!answer) throw new Error(`nobody said what ${line} answers`);
    return { status: 0, out: "", err: "", ...answer };
  },
  room: async () => ({ bytes_free: 200 * 2 ** 30, inodes: 1_000_000, inodes_free: 900_000 }),
  knock: async (host) => ({ address: host, connects: true }),
  sockets: async () => [],
  ...over,
});

export const pmset = (sleep: number): Partial<Ran> => ({
  out: `System-wide power settings:
Currently in use:
 standby              ${sleep > 0 ? 1 : 0}
 Sleep On Power Button 1
 powernap             1
 networkoversleep     0
 disksleep            10
 sleep                ${sleep}${sleep > 0 ? " (sleep prevented by powerd)" : ""}
 displaysleep         10
 womp                 1
`,
});

const wellAnswers: Answers = {
  "/usr/bin/xcodebuild -version": { out: "Xcode 16.2\nBuild version 16C0000x\n" },
  "/usr/bin/sw_vers -productVersion": { out: "26.1\n" },
  "/bin/ls /Applications": { out: "Safari.app\nUtilities\nXcode.app\nXcode_15.4.app\n" },
  "/usr/bin/defaults read /Applications/Xcode.app/Contents/version CFBundleShortVersionString": { out: "16.2\n" },
  "/usr/bin/defaults read /Applications/Xcode_15.4.app/Contents/version CFBundleShortVersionString": { out: "15.4\n" },
  "/usr/bin/pmset -g": pmset(0),
  "/bin/launchctl print gui/501": { out: "com.apple.xpc.launchd.domain.user.501 = {\n}\n" },
  "/usr/bin/security show-keychain-info": {
    err: `Keychain "/Users/ci/Library/Keychains/login.keychain-db" no-timeout`,
  },
};
