import { MeshError } from "../core/error.ts";

// What c12 brings along for what we have switched off (read.ts): code made on the fly, .env and rc files, package.json, watching,
// templates from the network. `paths` in tsconfig.json puts this file in the place of those packages: none of them is in the binary.

function unused(): never {
  throw new MeshError("bug", "a part of c12 was asked for that is switched off");
}

export { unused as createJiti }; // jiti
export { unused as parse }; // dotenv
export { unused as read, unused as readUser }; // rc9
export { unused as findWorkspaceDir, unused as readPackageJSON }; // pkg-types
export { unused as downloadTemplate }; // giget
export { unused as watch }; // chokidar

/** Returns the path as it is, in place of exsolve: c12 is only asked for a file that was found, by its absolute path. */
export const resolveModulePath = (path: string): string => path;
