import { expect, test } from "bun:test";
import { join } from "node:path";

const main = join(import.meta.dir, "../../commands/main.ts");
const run = (...args: string[]) => Bun.spawnSync([process.execPath, main, ...args], { stdout: "pipe", stderr: "pipe" });

/** What bash offers for a line that ends at the cursor. */
function offered(line: string): string[] {
  const words = line.split(" ");
  const script = `
    ${run("completions", "bash").stdout.toString()}
    COMP_WORDS=(${words.map((word) => `'${word}'`).join(" ")})
    COMP_CWORD=${words.length - 1}
    _meshmac
    printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr } = Bun.spawnSync(["bash", "-c", script], { stdout: "pipe", stderr: "pipe" });
  expect(stderr.toString()).toBe("");
  return stdout.toString().trim().split("\n");
}

test.each<[string, string[]]>([
  ["meshmac ser", ["serve", "service"]],
  ["meshmac runs lo", ["logs"]],
  ["meshmac runs list --sta", ["--state"]],
  ["meshmac runs list --state que", ["queued"]],
  ["meshmac config sh", ["show"]],
  ["meshmac notify --dry", ["--dry-run"]],
])("bash completes %s", (line, words) => expect(offered(line)).toEqual(words));

test("every command is offered", () => {
  const help = run("--help").stdout.toString();
  for (const name of offered("meshmac ").filter((word) => !word.startsWith("-"))) expect(help).toContain(name);
  expect(offered("meshmac ")).toContain("doctor");
});

test.each(["zsh", "fish"])("there is one for %s", (shell) => {
  expect(run("completions", shell).stdout.toString()).toContain("retry");
});

test("another shell is a mistake of the caller's", () => {
  expect(run("completions", "tcsh").exitCode).toBe(64);
});
