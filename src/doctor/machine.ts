import { existsSync, readFileSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { connect } from "node:net";
import { homedir } from "node:os";
import { MeshError } from "../core/error.ts";
import { notFound, type Ran, runProgram } from "../programs.ts";

/** What a check asks of the machine that it runs on; a test brings its own. */
export interface Machine {
  uid: number;
  home: string;
  /** Runs one of the system's own programs, named by its absolute path. Throws `unavailable` where it is not there or does not end. */
  run(program: string, ...args: string[]): Promise<Ran>;
  /** What is free on the file system that holds this folder. */
  room(folder: string): Promise<Room>;
  /** Opens a TCP connection and closes it. Never throws. */
  knock(host: string, port: number): Promise<Knock>;
  /** The sockets of gateways on this machine, ours and others', by path. */
  sockets(): Promise<string[]>;
}

/** `inodes` is 0 for a file system that does not count them. */
export interface Room {
  bytes_free: number;
  inodes: number;
  inodes_free: number;
}

/** Whether a connection came of it, and the address that a name led to, if any. */
export interface Knock {
  address: string | null;
  connects: boolean;
}

const patience = 10_000;
const knockPatience = 3000;

/** The machine that this runs on. */
export const thisMachine = (): Machine => ({
  uid: process.getuid?.() ?? 0,
  home: homedir(),
  run,
  async room(folder) {
    const { bsize, bavail, files, ffree } = await statfs(folder);
    return { bytes_free: bsize * bavail, inodes: files, inodes_free: ffree };
  },
  knock,
  sockets,
});

async function run(program: string, ...args: string[]): Promise<Ran> {
  const { env } = process;
  const ran = await runProgram([program, ...args], { path: env.PATH ?? "", env, timeout: patience });
  if (ran.status === notFound) throw new MeshError("unavailable", `${program} cannot be run on this machine`);
  return ran;
}

/** Every socket of a gateway that owns a SQLite store, by the system's own list. */
async function sockets(): Promise<string[]> {
  const linux = "/proc/net/unix";
  const table = existsSync(linux)
    ? readFileSync(linux, "utf8")
    : (await run("/usr/sbin/netstat", "-an", "-f", "unix")).out;
  return [...new Set([...table.matchAll(/ (\/.*\/meshmac\.sock)$/gm)].map(([, path = ""]) => path))];
}

function knock(host: string, port: number): Promise<Knock> {
  const { promise, resolve } = Promise.withResolvers<Knock>();
  let address: string | null = null;
  const socket = connect({ host, port, timeout: knockPatience });
  const end = (connects: boolean) => {
    socket.destroy();
    resolve({ address, connects });
  };
  socket.on("lookup", (_fault, found) => (address = found || null));
  socket.on("connect", () => end(true));
  socket.on("timeout", () => end(false));
  // Why it failed is not to be had: Bun 1.4.5 says ECONNREFUSED for EHOSTUNREACH too.
  socket.on("error", () => end(false));
  return promise;
}
