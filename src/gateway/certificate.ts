import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { MeshError } from "../core/error.ts";
import type { Use } from "../core/records.ts";
import { log } from "../log.ts";
import { type PairFiles, readPair, readSoundPair, stampOfPair } from "../rotation/pair.ts";

export interface CertificateFiles extends PairFiles {
  /** The authority whose certificates clients have to show. */
  client_ca?: string | undefined;
}

export interface ListenTls {
  cert: string;
  key: string;
  ca?: string;
  requestCert?: boolean;
  rejectUnauthorized?: boolean;
}

/** The certificate of `gateway.tls`: read at the start, and again when its files change. */
export interface Certificate {
  /** What a listener shows now. Throws what reading says where the files were never usable. */
  present(): ListenTls;
  /** Calls `take` after each change; one that throws leaves the certificate as it was, until the next look. */
  onChange(take: () => void): void;
  /** Looks at the files now, as it does four times a second. */
  look(): void;
  /** Says which certificate and key are served, and since when, as of any secret. */
  uses(): Use[];
  stop(): void;
}

interface Loaded {
  tls: ListenTls;
  key_id: string;
  /** Tells one set of files from another. */
  gist: string;
  at: number;
}

const lookEvery = 250;

/** Opens the certificate and keeps an eye on its files. A changed pair that cannot be used is said once, and the one before stays. */
export function openCertificate(files: CertificateFiles, now: () => number = Date.now): Certificate {
  const takers: (() => void)[] = [];
  let loaded: Loaded | null = null;
  let taken = "";
  let seen = "";
  let complained = "";

  function first(): Loaded {
    taken = stampOfPair(files, files.client_ca);
    return read(files);
  }

  function look(): void {
    if (!loaded) return;
    const stamps = stampOfPair(files, files.client_ca);
    if (stamps === taken) return;
    try {
      const fresh = readSound(files, now());
      if (fresh.gist !== loaded.gist) take(fresh);
      taken = stamps;
    } catch (fault) {
      // Whoever replaces two files replaces one of them first: what is wrong is said when nothing moves any more.
      if (stamps === seen && stamps !== complained) {
        complained = stamps;
        log.error("changed certificate not used", { key_id: loaded.key_id, why: fault });
      }
    }
    seen = stamps;
  }

  function take(fresh: Loaded): void {
    const before = loaded;
    loaded = fresh;
    try {
      for (const renew of takers) renew();
    } catch (fault) {
      loaded = before;
      throw fault;
    }
    log.info("certificate loaded", { key_id: fresh.key_id, expires: new X509Certificate(fresh.tls.cert).validTo });
  }

  const timer = setInterval(look, lookEvery);
  timer.unref();
  return {
    present: () => (loaded ??= first()).tls,
    onChange: (renew) => void takers.push(renew),
    look,
    uses: () => (loaded ? [useOf(loaded)] : []),
    stop: () => clearInterval(timer),
  };
}

function read(files: CertificateFiles): Loaded {
  return loadedFrom(readPair(files), authorityIn(files));
}

function readSound(files: CertificateFiles, now: number): Loaded {
  const pair = readSoundPair(files, now);
  const ca = authorityIn(files);
  try {
    if (ca !== null) new X509Certificate(ca);
  } catch {
    throw new MeshError("config", "client_ca cannot be read", { hint: "the certificate before stays in use" });
  }
  return loadedFrom(pair, ca);
}

const authorityIn = ({ client_ca }: CertificateFiles): string | null =>
  client_ca === undefined ? null : readFileSync(client_ca, "utf8");

function loadedFrom({ cert, key, key_id }: ReturnType<typeof readPair>, ca: string | null): Loaded {
  const tls = { cert, key, ...(ca !== null && { ca, requestCert: true, rejectUnauthorized: true }) };
  return { tls, key_id, gist: JSON.stringify([key_id, ca]), at: performance.now() };
}

const useOf = ({ key_id, at }: Loaded): Use => ({
  secret: "tls",
  key_id,
  role: "current",
  loaded_ms: Math.max(0, Math.round(performance.now() - at)),
  count: 0,
  refused: 0,
  idle_ms: null,
});
