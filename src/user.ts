let known: string | undefined;

/** Names who runs this, by the system: Bun's userInfo() knows nothing but $USER, which sudo, cron and launchd may leave out. */
export function systemUser(): string {
  known ??= Bun.spawnSync(["id", "-un"], { env: { PATH: "/usr/bin:/bin:/usr/sbin:/sbin" } })
    .stdout.toString()
    .trim();
  return known;
}
