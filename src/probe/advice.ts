import { type Expected, type Got, hungUp } from "./case.ts";

/** Says what to look at where an answer differs from what was expected, as the trackers' FAQs would; null where it does not differ. */
export function adviceFor(expected: Expected, got: Got): string | null {
  if (!differs(expected, got)) return null;
  const { status, ours, fault } = got;
  if (expected.early)
    return "who waits for slow senders and takes headers of any size runs out of memory or connections: look at the timeouts and limits of what stands in front of the gateway";
  if (fault !== null && /CERT|SIGNED|ISSUER|VERIFY|HOSTNAME/.test(fault))
    return "this machine does not trust the certificate: --ca-file names the authority that signed it; or it is for another host name, or has run out";
  if (fault !== null || status === null)
    return "nothing answered: check the host name and its DNS, the port, the certificate (--client-cert and --client-key where the gateway asks for one), and that meshmac serve is running";
  if (!ours) return edge(status);
  const wants = expected.status;
  if (wants.includes(401) && status < 300)
    return "the door took a wrong or missing token: look for a proxy that adds the token itself, and rotate it";
  const known = answers[status];
  if (!wants.includes(status) && known !== undefined) return known;
  if (got.outcome === "ignored" && expected.outcome && !expected.outcome.includes("ignored"))
    return "the running gateway has another build_when than this configuration: restart it, or probe with the file that it uses";
  if (got.outcome === "stored" && expected.outcome?.includes("queued"))
    return "the store is away and the spool takes what comes: meshmac doctor says why";
  if (got.outcome === "queued" && expected.outcome?.includes("duplicate"))
    return "gateways that answer by turns do not share canaries' marks: probe one of them, by its own address";
  return "the answer is not the one that this version gives: compare meshmac --version with the gateway's (/readyz on the admin side)";
}

/** Says whether an answer is another than the one expected, or not ours at all. */
export function differs({ status, outcome, reason, early }: Expected, got: Got): boolean {
  if (early) return got.status === null ? got.fault !== hungUp : !status.includes(got.status);
  if (got.status === null || !got.ours || !status.includes(got.status)) return true;
  if (outcome && !outcome.includes(got.outcome ?? "")) return true;
  return reason !== undefined && reason !== got.reason;
}

// What the articles' FAQs and the senders' documents name as causes.
const answers: Record<number, string> = {
  400: "the body did not arrive as it was sent: look for a proxy that rewrites or cuts it",
  401: "the token was not accepted: compare the header's name with the door's `header`, its value with the token file (a blank at the end, a rotation half done), and look for a proxy that drops the header",
  403: "the door's allow_ips does not hold the address we come from: add it, or set gateway.trusted_proxies so that the gateway sees it",
  404: "the gateway has no door at this path: compare it with the source's `path`, which --url takes too where there is no configuration, and look for a proxy that rewrites paths",
  405: "the method arrived as another one: look for a redirect (http to https) or a proxy",
  413: "the body is over gateway.max_body, or a proxy's limit",
  429: "too many wrong tokens from this address, by this probe or by another sender behind it: wait half a minute and probe again",
  503: "the gateway could take nothing: meshmac doctor says what fails; or it is over gateway.max_in_flight",
};

function edge(status: number): string {
  const who = "no X-Meshmac-Correlation-Id: something in front of the gateway answered";
  if (status === 403)
    return `${who}; look for a firewall's rule on headers or countries, a list of addresses, or mutual TLS, and repeat it with the same headers from a bastion`;
  if (status === 401) return `${who}; it asks for credentials of its own`;
  if (status === 404) return `${who}; its routes do not lead this path to the gateway`;
  if (status === 413) return `${who}; its limit for bodies is below gateway.max_body`;
  if (status >= 300 && status < 400) return `${who} with a redirect, which no tracker follows: give them the final URL`;
  if (status >= 500)
    return `${who}; it does not reach the gateway: check its upstream and that meshmac serve is running`;
  return who;
}
