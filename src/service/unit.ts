import { signed, unsigned } from "./marker.ts";
import type { Plan } from "./plan.ts";

// systemd.exec(5). No MemoryDenyWriteExecute: a JIT compiler maps what it wrote as executable.
const hardening = [
  "NoNewPrivileges=yes",
  "CapabilityBoundingSet=",
  "AmbientCapabilities=",
  "ProtectSystem=strict",
  "PrivateTmp=yes",
  "PrivateDevices=yes",
  "PrivateMounts=yes",
  "PrivateUsers=yes",
  "PrivateIPC=yes",
  "ProtectProc=invisible",
  "ProcSubset=pid",
  "ProtectKernelTunables=yes",
  "ProtectKernelModules=yes",
  "ProtectKernelLogs=yes",
  "ProtectControlGroups=yes",
  "ProtectClock=yes",
  "ProtectHostname=yes",
  "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
  "RestrictNamespaces=yes",
  "RestrictRealtime=yes",
  "RestrictSUIDSGID=yes",
  "LockPersonality=yes",
  "RemoveIPC=yes",
  "KeyringMode=private",
  "SystemCallArchitectures=native",
  "SystemCallFilter=@system-service",
  "SystemCallFilter=~@privileged @resources",
  "SystemCallErrorNumber=EPERM",
];

/**
 * Writes a systemd unit. The gateway's is hardened: it reads its configuration and secrets and writes its state folder,
 * and nothing else. A worker's is not: what a build needs is not ours to know.
 */
export function unitOf(plan: Plan): string {
  const lines = [
    unsigned,
    "[Unit]",
    plan.servant === "serve" ? "Description=meshmac gateway" : "Description=meshmac worker",
    "Wants=network-online.target",
    "After=network-online.target",
    "StartLimitIntervalSec=0",
    "",
    "[Service]",
    "Type=exec",
    `User=${plan.user ?? ""}`,
    `WorkingDirectory=${word(plan.folder)}`,
    `ExecStart=${plan.argv.map(argument).join(" ")}`,
    ...Object.entries(plan.environment).map(([name, value]) => `Environment=${quoted(specifiers(`${name}=${value}`))}`),
    // It reads its file by itself too; this is for who changed something and wants to see what came of it.
    ...(plan.servant === "serve" ? ["ExecReload=/bin/kill -HUP $MAINPID"] : []),
    "Restart=on-failure",
    "RestartSec=2",
    // SIGTERM to ours alone, which ends its scripts as it should; what is left of the group when it is gone is killed.
    "KillMode=mixed",
    `TimeoutStopSec=${plan.drain}`,
    "LimitNOFILE=65536",
    ...(plan.servant === "serve" ? hardened(plan) : []),
    "",
    "[Install]",
    "WantedBy=multi-user.target",
    "",
  ];
  return signed(lines.join("\n"), (words) => `# ${words}`);
}

/** The words after the binary, as a unit of ours has them. */
export const wordsOf = (servant: string, config: string): string =>
  ` ${[servant, "--config", config].map(argument).join(" ")}\n`;

function hardened({ writable, argv, folder }: Plan): string[] {
  const homes = [...writable, ...argv, folder].some((path) => /^\/(?:home|root|run\/user)(?:\/|$)/.test(path));
  return [
    "UMask=0077",
    ...writable.map((path) => `ReadWritePaths=${quoted(specifiers(path))}`),
    `ProtectHome=${homes ? "read-only" : "yes"}`,
    ...hardening,
  ];
}

const specifiers = (text: string): string => text.replaceAll("%", "%%");
const quoted = (text: string): string => (/^[\w@%+=:,./-]+$/.test(text) ? text : `"${text.replace(/["\\]/g, "\\$&")}"`);
/** A path that stands alone is taken to the end of its line. */
const word = specifiers;
/** In a command line systemd also replaces `$NAME`. */
const argument = (text: string): string => quoted(specifiers(text).replaceAll("$", "$$$$"));
