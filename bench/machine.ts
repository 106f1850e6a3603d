import { cpus, release, totalmem, type as system } from "node:os";

/** Describes this machine in one line, as the header of every bench: CPU, cores, memory, kernel, Bun. */
export function machine(): string {
  const cores = cpus();
  const model = cores[0]?.model.trim() || "unknown CPU";
  const memory = `${Math.round(totalmem() / 1024 ** 3)} GiB`;
  return `${model} · ${cores.length} cores · ${memory} · ${system()} ${release()} ${process.arch} · Bun ${Bun.version}`;
}

/** Finds the value that `percent` (0 to 100) of the values do not exceed (nearest rank); NaN where there are none. */
export function percentile(values: readonly number[], percent: number): number {
  const rank = Math.ceil((percent / 100) * values.length);
  return values.toSorted((a, b) => a - b)[Math.max(0, rank - 1)] ?? Number.NaN;
}

/** Finds the middle value, the lower of the two middle ones for an even number; NaN where there are none. */
export const median = (values: readonly number[]): number => percentile(values, 50);

if (import.meta.main) process.stdout.write(`${machine()}\n`);
