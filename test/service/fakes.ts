import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Machine } from "../../src/service/machine.ts";

/** A machine in a folder: its root, its home, and a launchctl and a systemctl that know what they were told. Gone when the test ends. */
export class Bench {
  readonly dir = mkdtempSync(join(tmpdir(), "meshmac-service-"));
  readonly machine: Machine;

  constructor(platform: "darwin" | "linux", more: Partial<Machine> = {}) {
    const fakes = join(this.dir, "fakes");
    this.machine = {
      platform,
      uid: 501,
      user: "builder",
      home: "/Users/builder",
      env: {},
      root: join(this.dir, "root"),
      path: `${fakes}:/usr/bin:/bin`,
      ...more,
    };
    this.write("calls", "");
    for (const [name, body] of Object.entries(programs)) {
      this.write(`fakes/${name}`, `#!/bin/sh\nset -u\nD='${this.dir}'\n${body}`);
      chmodSync(join(fakes, name), 0o755);
    }
  }

  /** What was asked of the system to change something, one line each. */
  get calls(): string[] {
    return readFileSync(join(this.dir, "calls"), "utf8").split("\n").filter(Boolean);
  }

  write(path: string, text: string): void {
    const file = join(this.dir, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }

  /** The text of a file of the machine, or null. */
  read(path: string): string | null {
    const file = this.machine.root + path;
    return existsSync(file) ? readFileSync(file, "utf8") : null;
  }

  /** Somebody opens it in an editor. */
  edit(path: string, change: (text: string) => string): void {
    writeFileSync(this.machine.root + path, change(this.read(path) ?? ""));
  }

  [Symbol.dispose](): void {
    rmSync(this.dir, { recursive: true, force: true });
  }
}

// launchctl(1) and systemctl(1), as far as they are used; anything else ends with 64, which the caller shows.
const programs = {
  launchctl: String.raw`
refuse() { echo "launchctl: unexpected: $*" >&2; exit 64; }
case "$1" in
  print)
    [ $# = 2 ] || refuse "$@"
    case "$2" in
      gui/501 | system) [ ! -e "$D/no-session" ] || { echo "Could not find domain" >&2; exit 113; } ;;
      gui/501/com.meshmac.work | system/com.meshmac.serve)
        [ -e "$D/loaded" ] || { echo "Could not find service" >&2; exit 113; }
        printf '%s = {\n\tactive count = 1\n\tpath = x\n\tstate = running\n\n\tpid = 4711\n\tlast exit code = 0\n}\n' "$2" ;;
      *) refuse "$@" ;;
    esac ;;
  enable)
    case "$*" in "enable gui/501/com.meshmac.work" | "enable system/com.meshmac.serve") ;; *) refuse "$@" ;; esac
    echo "$*" >>"$D/calls" ;;
  bootstrap)
    [ $# = 3 ] || refuse "$@"
    case "$2 $3" in
      "gui/501 /Users/builder/Library/LaunchAgents/com.meshmac.work.plist") ;;
      "system /Library/LaunchDaemons/com.meshmac.serve.plist") ;;
      *) refuse "$@" ;;
    esac
    [ -f "$D/root$3" ] || { echo "no such file" >&2; exit 2; }
    echo "$*" >>"$D/calls"
    [ ! -e "$D/refused" ] || { echo "Bootstrap failed: 5: Input/output error" >&2; exit 5; }
    : >"$D/loaded" ;;
  bootout)
    case "$*" in "bootout gui/501/com.meshmac.work" | "bootout system/com.meshmac.serve") ;; *) refuse "$@" ;; esac
    echo "$*" >>"$D/calls"
    [ ! -e "$D/draining" ] || { echo "Boot-out failed: 36: Operation now in progress" >&2; exit 36; }
    rm -f "$D/loaded" ;;
  *) refuse "$@" ;;
esac
`,
  systemctl: String.raw`
refuse() { echo "unexpected: $*" >&2; exit 64; }
case "$*" in
  daemon-reload) ;;
  "enable meshmac-serve.service" | "disable meshmac-serve.service") ;;
  "start meshmac-serve.service") [ ! -e "$D/refused" ] || { echo "Job failed" >&2; exit 1; }; : >"$D/loaded" ;;
  "stop --no-block meshmac-serve.service") rm -f "$D/loaded" ;;
  "show meshmac-serve.service --property=LoadState,ActiveState,MainPID,ExecMainStatus")
    if [ -e "$D/loaded" ]; then printf 'MainPID=4711\nExecMainStatus=0\nLoadState=loaded\nActiveState=active\n'
    elif [ -e "$D/root/etc/systemd/system/meshmac-serve.service" ]; then printf 'MainPID=0\nExecMainStatus=78\nLoadState=loaded\nActiveState=failed\n'
    else printf 'MainPID=0\nExecMainStatus=0\nLoadState=not-found\nActiveState=inactive\n'; fi
    exit 0 ;;
  *) refuse "$@" ;;
esac
echo "$*" >>"$D/calls"
`,
  id: '[ "$*" = "-u builder" ] || [ "$*" = "-u root" ] || exit 1; echo 501\n',
  chown: 'echo "chown $*" >>"$D/calls"\n',
};
