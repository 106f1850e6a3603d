import type { Result } from "ioredis";

// ioredis has these and does not declare them; its `callBuffer` loses the command's name while pipelines are automatic.
type Run<Context> = (...args: [script: string, keys: number, ...args: (string | Buffer)[]]) => Result<unknown, Context>;

declare module "ioredis" {
  interface RedisCommander<Context> {
    evalBuffer: Run<Context>;
    evalshaBuffer: Run<Context>;
  }
}
