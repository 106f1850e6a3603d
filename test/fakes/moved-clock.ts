import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The wall clock of other processes. */
export interface MovedClock {
  /** What a process is started with to live by it. */
  env: Record<string, string>;
  /** Milliseconds from the real time; whole seconds. */
  readonly off: number;
  set(off: number): void;
  close(): void;
}

const compiler = process.platform === "linux" ? Bun.which("cc") : null;

/** Whether `movedClock` gives one here: Linux, with a C compiler. */
export const canMoveClocks: boolean = compiler !== null;

/** Makes a wall clock that can be set for the processes that have it; null where it cannot be had. Monotonic clocks go on. */
export function movedClock(): MovedClock | null {
  if (compiler === null) return null;
  const dir = mkdtempSync(join(tmpdir(), "meshmac-clock-"));
  const [library, file] = [join(dir, "moved-clock.so"), join(dir, "off")];
  const source = join(import.meta.dir, "moved-clock.c");
  const made = Bun.spawnSync([compiler, "-shared", "-fPIC", "-O1", "-o", library, source]);
  if (!made.success) throw new Error(`cc failed: ${made.stderr.toString()}`);
  writeFileSync(file, new Uint8Array(8));
  const shown = new BigInt64Array(Bun.mmap(file, { shared: true }).buffer, 0, 1);
  return {
    env: { LD_PRELOAD: library, MOVED_CLOCK: file },
    get off() {
      return Number(shown[0]) * 1000;
    },
    set: (off) => void (shown[0] = BigInt(off / 1000)),
    close: () => rmSync(dir, { recursive: true, force: true }),
  };
}
