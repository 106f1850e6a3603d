/** `--config`, which every command takes that needs the configuration. */
export const configArgs = {
  config: { type: "string", description: "configuration file", valueHint: "file" },
} as const;

/** `--json`, for commands that print data. */
export const jsonArgs = {
  json: { type: "boolean", description: "print JSON" },
} as const;

/** Prints an answer, with a line feed, to stdout; logs go elsewhere. */
export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
