import { z } from "zod";

export type StoreUrl =
  | { kind: "sqlite"; path: string }
  | {
      kind: "redis";
      tls: boolean;
      hosts: { host: string; port: number }[];
      master?: string;
      user?: string;
      db: number;
    };

const redisUrl = /^(redis|rediss|redis\+sentinel):\/\/(?:([^:@/]+)@)?([^/@]+)(?:\/([\w.-]*))?$/;

/** Parses `sqlite:<path>`, `redis://host:6379/0`, `rediss://…` and `redis+sentinel://h1:26379,h2:26379/mymaster`. A password in it is refused. */
export const storeUrl = z.string().transform((text, context): StoreUrl => {
  if (/^sqlite:./.test(text)) return { kind: "sqlite", path: text.slice("sqlite:".length) };
  const found = redisUrl.exec(text);
  const hosts = (found?.[3] ?? "").split(",").map((pair) => {
    const [, host, port] = /^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?$/.exec(pair) ?? [];
    const usual = found?.[1] === "redis+sentinel" ? 26_379 : 6379;
    return { host: (host ?? "").replace(/^\[|\]$/g, ""), port: port === undefined ? usual : Number(port) };
  });
  const sentinel = found?.[1] === "redis+sentinel";
  const fits = sentinel ? Boolean(found?.[4]) : /^\d{0,5}$/.test(found?.[4] ?? "");
  if (!found || !fits || hosts.some(({ host, port }) => host === "" || port > 65_535)) {
    context.addIssue({
      code: "custom",
      message: /^rediss?:\/\/[^/]*:[^/]*@/.test(text)
        ? "put the password into a file and name it in store_password"
        : "expected sqlite:<file>, redis://host:port/db, rediss://… or redis+sentinel://h1:26379,h2:26379/master",
    });
    return z.NEVER;
  }
  return {
    kind: "redis",
    tls: found[1] === "rediss",
    hosts,
    ...(sentinel && found[4] ? { master: found[4] } : {}),
    ...(found[2] ? { user: found[2] } : {}),
    db: sentinel ? 0 : Number(found[4] || 0),
  };
});
