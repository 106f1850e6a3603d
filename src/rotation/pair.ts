import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { MeshError } from "../core/error.ts";
import { keyIdOf, textIn } from "../secrets/copy.ts";
import { checkKeyFile, stampOf } from "../secrets/file.ts";
import { digestOf, nextOf, prevOf } from "../secrets/shelf.ts";

export interface Pair {
  cert: string;
  key: string;
}

/** Where a certificate and its key lie. */
export interface PairFiles {
  cert: string;
  key: string;
}

const block = /-----BEGIN ([A-Z ]+)-----[\s\S]+?-----END \1-----/g;

/** Splits what was pasted into certificates and a private key; the key there is stays where none came. Throws `data` where there is no certificate. */
export function pairIn(text: string, presentKey: string): Pair {
  const blocks = [...text.matchAll(block)].map(([whole, label = ""]) => ({ whole, label }));
  const certs = blocks.filter(({ label }) => label === "CERTIFICATE").map(({ whole }) => whole);
  const [key] = blocks.filter(({ label }) => label.endsWith("PRIVATE KEY")).map(({ whole }) => whole);
  if (certs.length === 0) {
    throw new MeshError("data", "no certificate came over stdin", {
      hint: "cat fullchain.pem privkey.pem | meshmac rotate start tls --stdin",
    });
  }
  return { cert: certs.join("\n"), key: key ?? presentKey };
}

/** Says what is wrong with a certificate and its key, or null: they belong together, are valid at `now`, and name the host. */
export function faultOfPair({ cert, key }: Pair, { host, now }: { host: string | null; now: number }): string | null {
  let leaf: X509Certificate;
  try {
    leaf = new X509Certificate(cert);
  } catch {
    return "the certificate cannot be read";
  }
  try {
    if (!leaf.checkPrivateKey(createPrivateKey(key))) return "the certificate and the key do not belong together";
  } catch {
    return "the private key cannot be read";
  }
  const [from, to] = [Date.parse(leaf.validFrom), Date.parse(leaf.validTo)];
  if (now > to) return `the certificate ran out on ${new Date(to).toISOString()}`;
  if (now < from) return `the certificate is not valid before ${new Date(from).toISOString()}`;
  if (host !== null && leaf.checkHost(host) === undefined)
    return `the certificate does not name ${host} (gateway.public_url)`;
  return null;
}

/** The file of the key that belongs to a certificate: its own; while a commit or an undo is half done, the one that is about to take its place. */
export function keyFileFor({ cert, key }: PairFiles): string {
  return [key, nextOf(key), prevOf(key)].find((file) => belongs(cert, file)) ?? key;
}

/** Reads a certificate and the key that belongs to it, and names them as `rotate` does. Throws what reading says. */
export function readPair(files: PairFiles): Pair & { key_id: string } {
  const [cert, key] = [textIn(readFileSync(files.cert)), textIn(readFileSync(keyFileFor(files)))];
  return { cert, key, key_id: keyIdOf(digestOf([cert, key])) };
}

/** Reads a pair that is to take the place of one that works. Throws `permission` or `config` with what is wrong with it. */
export function readSoundPair(files: PairFiles, now: number): Pair & { key_id: string } {
  checkKeyFile(keyFileFor(files));
  const pair = readPair(files);
  const fault = faultOfPair(pair, { host: null, now });
  if (fault !== null) throw new MeshError("config", fault, { hint: "the certificate before stays in use" });
  return pair;
}

/** What tells one state of the files that `readPair` looks at, and of one that belongs to them, from another. */
export const stampOfPair = ({ cert, key }: PairFiles, beside: string = cert): string =>
  [cert, key, nextOf(key), prevOf(key), beside].map(stampOf).join();

function belongs(cert: string, key: string): boolean {
  try {
    return new X509Certificate(readFileSync(cert)).checkPrivateKey(createPrivateKey(readFileSync(key)));
  } catch {
    return false;
  }
}
