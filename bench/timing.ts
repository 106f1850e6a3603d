// Whether the time that a token takes to be refused tells how much of it was right: Welch's t between wrong tokens that
// share all but the last character with the right one, and random ones. bun bench/timing.ts [samples]
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createToken, openVault, writeSecret } from "../src/secrets.ts";
import { machine } from "./machine.ts";

const samples = Number(process.argv[2] ?? 1_000_000);
const name = "jira/inbound.token";
// A sample is a few calls, so that it is longer than the clock's tick.
const perSample = 8;
const pool = 512;

interface Moments {
  count: number;
  mean: number;
  squares: number;
}

/** Takes one value into mean and variance (Welford). */
function take(moments: Moments, value: number): void {
  moments.count++;
  const off = value - moments.mean;
  moments.mean += off / moments.count;
  moments.squares += off * (value - moments.mean);
}

const variance = ({ count, squares }: Moments): number => squares / (count - 1);

/** Welch's t of two sets of samples. */
function welch(a: Moments, b: Moments): number {
  return (a.mean - b.mean) / Math.sqrt(variance(a) / a.count + variance(b) / b.count);
}

const dir = mkdtempSync(join(tmpdir(), "meshmac-timing-"));
try {
  const right = createToken();
  writeSecret(dir, name, right);
  writeSecret(dir, `${name}.next`, createToken());
  // A clock that stands still: looking at the files four times a second would be the loudest thing here.
  const vault = openVault(dir, () => 0);
  vault.accepts(name, right);

  const nearMiss = (): string => right.slice(0, -1) + (right.endsWith("0") ? "1" : "0");
  const random = (): string => randomBytes(32).toString("hex");
  // Made before and in the same way: the strings of both kinds are flat, of one length, and used equally often.
  const kinds = [nearMiss, random].map((make) =>
    Array.from({ length: pool }, () => Buffer.from(make()).toString("latin1")),
  );

  const measured = (tokens: string[], from: number): number => {
    const begun = Bun.nanoseconds();
    for (let i = 0; i < perSample; i++) vault.accepts(name, tokens[(from + i) % pool] ?? "");
    return Bun.nanoseconds() - begun;
  };

  for (let i = 0; i < 20_000; i++) for (const tokens of kinds) measured(tokens, i);
  // What an interruption lengthens says nothing of either: samples beyond the 99th percentile of a first look are cut (dudect).
  const [equal = [], other = []] = kinds;
  const first = Array.from({ length: 20_000 }, (_, i) => measured(i % 2 === 0 ? equal : other, i)).toSorted(
    (a, b) => a - b,
  );
  const cut = first[Math.floor(first.length * 0.99)] ?? Number.POSITIVE_INFINITY;

  const all: [Moments, Moments] = [
    { count: 0, mean: 0, squares: 0 },
    { count: 0, mean: 0, squares: 0 },
  ];
  const coins = randomBytes(samples);
  for (let i = 0; i < samples; i++) {
    // Which kind comes next is drawn, so that no rhythm of the machine falls on one of them.
    const kind = (coins[i] ?? 0) & 1;
    const ns = measured(kind === 0 ? equal : other, i);
    if (ns <= cut) take(all[kind === 0 ? 0 : 1], ns);
  }
  const t = welch(...all);
  const [near, far] = all;
  process.stdout.write(
    [
      machine(),
      `${samples} samples of ${perSample} refusals each, two live values, cut at ${Math.round(cut)} ns`,
      `all but one character right  ${(near.mean / perSample).toFixed(2)} ns a refusal, ${near.count} samples`,
      `random                       ${(far.mean / perSample).toFixed(2)} ns a refusal, ${far.count} samples`,
      `Welch's t                    ${t.toFixed(2)}   (|t| over 4.5 would tell the two apart)`,
      "",
    ].join("\n"),
  );
} finally {
  rmSync(dir, { recursive: true, force: true });
}
