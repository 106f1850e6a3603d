import { MeshError } from "../core/error.ts";

// /var/folders is where macOS keeps TMPDIR, and what it opens from a download without asking.
const temporary = /^(?:\/private)?\/(?:tmp|var\/tmp|var\/folders|dev\/shm)\//;

/**
 * Returns the path of the running meshmac for a service to start. Throws `usage` where it would not be there for long: run
 * from its source by Bun, or in a folder that the system empties.
 */
export function serviceBinary({ path, compiled, temp }: { path: string; compiled: boolean; temp: string }): string {
  if (!compiled) {
    throw new MeshError("usage", "a service runs the compiled meshmac, and this one runs from its source", {
      hint: "./install.sh builds and installs it; then run that one",
    });
  }
  if (temporary.test(path) || path.startsWith(`${temp.replace(/\/+$/, "")}/`)) {
    throw new MeshError("usage", `${JSON.stringify(path)} is in a folder that the system empties`, {
      hint: "./install.sh, or move the binary to ~/.local/bin or /usr/local/bin, and run that one",
    });
  }
  return path;
}
