import type { SignatureRule, Verify } from "./verify.ts";

const minute = 60_000;

/** A token in a header of its own. */
export const inHeader = (header: string): Verify => ({ token: { header }, ids: ["Idempotency-Key"] });

/** `Authorization: Bearer <token>`. */
export const bearer: Verify = { token: { header: "Authorization", prefix: "Bearer " }, ids: ["Idempotency-Key"] };

/** `sha256=<hex>` over the body, as GitHub and Jira sign: https://www.w3.org/TR/websub/#authenticated-content-distribution */
export const hubSignature = (header: string): SignatureRule => ({
  header,
  prefix: "sha256=",
  encoding: "hex",
  signed: "{body}",
  key: "text",
});

// https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
const standardSignature: SignatureRule = {
  header: "webhook-signature",
  prefix: "v1,",
  encoding: "base64",
  signed: "{id}.{timestamp}.{body}",
  id: "webhook-id",
  timestamp: { header: "webhook-timestamp", tolerance_ms: 5 * minute },
  key: "base64",
};

/** Standard Webhooks: five minutes of tolerance, and the id of the message as the id of the delivery. */
export const standardWebhooks: Verify = { signature: standardSignature, ids: ["webhook-id"] };

// https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
export const github: Verify = { signature: hubSignature("X-Hub-Signature-256"), ids: ["X-GitHub-Delivery"] };

/**
 * GitLab's secret token, or its signing token, which signs as Standard Webhooks do. Its retries are not known to sign anew,
 * and a refusal costs the hook: an old timestamp is no reason for one. The signed id makes a replay a duplicate for 8 days.
 * https://docs.gitlab.com/user/project/integrations/webhooks/
 */
export const gitlab: Verify = {
  either: true,
  token: { header: "X-Gitlab-Token" },
  signature: { ...standardSignature, timestamp: { header: "webhook-timestamp", tolerance_ms: 7 * 24 * 60 * minute } },
  ids: ["Idempotency-Key", "webhook-id"],
};

// https://linear.app/developers/webhooks#securing-webhooks
export const linear: Verify = {
  signature: { header: "Linear-Signature", prefix: "", encoding: "hex", signed: "{body}", key: "text" },
  ids: ["Linear-Delivery"],
};
