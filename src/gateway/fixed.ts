import type { Config } from "../config.ts";
import { cutOffAt } from "./public.ts";

// What was opened with these stays open: files, sockets, connections, and names that others know us by.
const opened = [
  "pool",
  "store",
  "store_password",
  "secrets_dir",
  "state_dir",
  "logs.archive",
  "gateway.listen",
  "gateway.admin.listen",
  "gateway.nodes.listen",
  "gateway.tls",
  "gateway.spool",
  "gateway.sends",
];

/** Names the places of a configuration that a gateway which was started with `first` cannot change; with a worker beside it, all that is the worker's too. */
export const fixedPlaces =
  (first: Config, { worker = false }: { worker?: boolean } = {}) =>
  ({ gateway }: Config): string[] => [
    ...opened,
    ...(gateway.max_body > cutOffAt(first.gateway.max_body) ? ["gateway.max_body"] : []),
    worker ? "node" : "node.id",
  ];
