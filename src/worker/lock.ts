import { link, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { MeshError } from "../core/error.ts";
import { systemFault } from "../core/system-fault.ts";
import { birthOf } from "./birth.ts";

const owner = z.object({ pid: z.int().min(1), started: z.string().nullable() });
type Owner = z.output<typeof owner>;

export interface WorkDir {
  /** A name that this folder keeps and no other has: who works here today knows what was left by whoever worked here before. */
  place: string;
  release(): Promise<void>;
}

/** Takes a work folder for this process alone; the lock of a dead process is taken over. Throws MeshError `later` while its owner lives, and what the system says where the folder cannot be used. */
export async function lockWorkDir(workDir: string): Promise<WorkDir> {
  try {
    await mkdir(workDir, { recursive: true, mode: 0o700 });
    const release = await lock(workDir);
    return { place: await placeOf(workDir), release };
  } catch (fault) {
    throw systemFault(fault, "node.work_dir") ?? fault;
  }
}

async function placeOf(workDir: string): Promise<string> {
  const file = join(workDir, "place");
  const known = await readFile(file, "utf8").catch(() => "");
  if (/^[0-9a-f]{16}$/.test(known)) return known;
  const place = crypto.randomUUID().replaceAll("-", "").slice(-16);
  await writeFile(file, place, { mode: 0o600 });
  return place;
}

async function lock(workDir: string): Promise<() => Promise<void>> {
  const file = join(workDir, "worker.lock");
  const mine = `${file}.${process.pid}.${crypto.randomUUID().slice(0, 8)}`;
  const self: Owner = { pid: process.pid, started: await birthOf(process.pid) };
  await writeFile(mine, JSON.stringify(self), { mode: 0o600 });
  try {
    for (let tries = 0; tries < 5; tries++) {
      // A link appears whole or not at all, so nobody reads half a lock.
      if (await linked(mine, file)) return () => rm(file, { force: true });
      const other = await readOwner(file);
      if (other && (await isAlive(other))) throw inUse(workDir, other);
      // Only the file that was judged dead may go: it is moved aside, looked at again, and put back if it was another.
      const aside = `${mine}.aside`;
      if (!(await moved(file, aside))) continue;
      const taken = await readOwner(aside);
      if (taken && (await isAlive(taken))) await linked(aside, file);
      await rm(aside, { force: true });
    }
    throw inUse(workDir, null);
  } finally {
    await rm(mine, { force: true });
  }
}

const inUse = (workDir: string, other: Owner | null): MeshError =>
  new MeshError("later", `another worker uses ${JSON.stringify(workDir)}${other ? ` (pid ${other.pid})` : ""}`, {
    hint: "stop it, or give this one a node.work_dir of its own",
  });

async function readOwner(file: string): Promise<Owner | null> {
  const parsed = await readFile(file, "utf8")
    .then(JSON.parse)
    .catch(() => null);
  return owner.safeParse(parsed).data ?? null;
}

const isAlive = async ({ pid, started }: Owner): Promise<boolean> => {
  const birth = await birthOf(pid);
  return birth !== null && birth === started;
};

async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "EEXIST") return false;
    throw cause;
  }
}

const moved = (from: string, to: string): Promise<boolean> =>
  rename(from, to).then(
    () => true,
    () => false,
  );
