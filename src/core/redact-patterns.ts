import type { Span } from "./spans.ts";

/**
 * One shape of a secret. Group 1 is what stays readable; what follows it is hidden. A rule runs only when one of its
 * hints is in the text, and no rule matches across a line end. Shapes are shorter than the published ones (prefix and at
 * least 20 characters), because a secret that was cut or has a new length must not pass. No text is read twice because a
 * shape began in it again and again: a match without group 1 is what proved to be no secret, and is passed over as a whole.
 */
interface Rule {
  hints: string[];
  shape: RegExp;
}

const secretShapes: Rule[] = [
  { hints: ["ATATT3", "ATCTT3"], shape: /()AT[AC]TT3[\w=-]{20,}/g },
  { hints: ["perm:", "perm-"], shape: /(\bperm[:-])[A-Za-z0-9+/=._-]{20,}/g },
  { hints: ["/hooks/"], shape: /(\/hooks\/)[a-z0-9]{26,}/g },
  { hints: ["hooks.slack"], shape: /(hooks\.slack(?:-gov)?\.com\/(?:services|workflows|triggers)\/)[\w/-]{20,}/g },
  { hints: ["xox", "xapp-"], shape: /()\b(?:xox[a-z](?:\.xox[a-z])?|xapp)-[\w-]{10,}/g },
  { hints: ["ghp_", "gho_", "ghu_", "ghs_", "ghr_"], shape: /()\bgh[pousr]_[A-Za-z0-9_]{20,}/g },
  { hints: ["github_pat_"], shape: /()github_pat_\w{20,}/g },
  {
    hints: ["glpat-", "glptt-", "gldt-", "glrt-", "glcbt-", "glft-", "glsoat-", "glagent-", "glimt-", "gloas-"],
    shape: /()\bgl(?:pat|ptt|dt|rt|cbt|ft|soat|agent|imt|oas)-[\w.-]{20,}/g,
  },
  { hints: ["discord"], shape: /(discord(?:app)?\.com\/api\/(?:v\d+\/)?webhooks\/\d+\/)[\w-]{20,}/g },
  { hints: [":AA"], shape: /(\d{6,12}:)AA[\w-]{28,}/g }, // Telegram
  { hints: ["webhook.office.com"], shape: /(webhook\.office\.com\/)[\w@/-]{20,}/g },
  { hints: ["AKIA", "ASIA"], shape: /()\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/g },
  { hints: ["eyJ"], shape: /()\beyJ[\w-]{10,}\.[\w-]{10,}(?:\.[\w-]*)*|\beyJ[\w-]*/g },
  { hints: ["lin_"], shape: /()\blin_(?:api|oauth|wh)_[A-Za-z0-9]{20,}/g },
  { hints: ["npm_"], shape: /()\bnpm_[A-Za-z0-9]{20,}/g },
  { hints: ["whsec_"], shape: /(whsec_)[A-Za-z0-9+/=]{20,}/g },
  { hints: ["k_live_", "k_test_"], shape: /()\b[srp]k_(?:live|test)_[A-Za-z0-9]{20,}/g },
  { hints: ["sk-"], shape: /()\bsk-[\w-]{32,}/g },
  { hints: ["AIza"], shape: /()\bAIza[\w-]{30,}/g },
  { hints: ["syt_"], shape: /()\bsyt_[\w=]{20,}/g }, // Matrix
  { hints: ["tk_"], shape: /()\btk_[a-z0-9]{20,}/g }, // ntfy
  // A key on one line, as JSON and environment files write it; a key over several lines is `keyBlock`.
  {
    hints: ["PRIVATE KEY"],
    shape:
      /()-----BEGIN[ A-Z0-9]{0,64}PRIVATE KEY[ A-Z]{0,64}-----[^\n]*?-----END[ A-Z0-9]{0,64}PRIVATE KEY[ A-Z]{0,64}-----|-----BEGIN[ A-Z0-9]{0,64}PRIVATE KEY[ A-Z]{0,64}-----[^\n]*/g,
  },
  // user:password@ and token@ of any URL; the last @ before the path ends them, as a password may hold one.
  { hints: ["://"], shape: /(:\/\/[^ \t\r\n:@/"'<>]{0,128}:)[^ \t\r\n/"'<>]{1,256}(?=@)/g },
  { hints: ["://"], shape: /(:\/\/)[^ \t\r\n:@/"'<>]{20,256}(?=@)/g },
];

// White space is spelled out: `\s` also means byte A0, which is half a character where a log is read as Latin-1.
// Names that say that a secret follows. Group 1 ends where the value begins.
const quote = `(?:\\\\?["'])?`;
const named: RegExp[] = [
  /([?&](?:key|token|sig|signature|code|secret|password|access_token|api_?key|auth)=)[^ \t\r\n&"'<>#]{8,}/gi,
  /(\bbearer {1,4})[\w.~+/=-]{20,}/gi,
  // Without a digit it is more likely prose, a path or a name.
  /(\b(?:basic|token) {1,4})(?=[\w.~+/=-]*\d)[\w.~+/=-]{20,}/gi,
  new RegExp(`(authorization${quote} ?[:=] ?${quote}(?:bearer|basic|digest|token) {1,4})[^ \\t\\r\\n"'\\\\]{4,}`, "gi"),
  // An issue key (MOB-12) is nobody's secret.
  /(\b[A-Z][A-Z0-9_]*_(?:TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|KEY|CREDENTIALS)=)(?!["']?[A-Z][A-Z0-9_]*-\d+\b)(?:"[^"\n]{6,}"|'[^'\n]{6,}'|[^ \t\r\n"';&]{6,})/g,
  new RegExp(`((?:token|secret|password|passwd|passphrase)${quote}=${quote})[^ \\t\\r\\n"'\\\\;&,]{6,}`, "gi"),
  new RegExp(
    `((?:token|secret|password|passwd|passphrase|api[_-]?key|access[_-]?key|private[_-]?key)${quote} ?[:=] ?${quote})(?=[\\w+/=.~-]{0,256}\\d)[\\w+/=.~-]{20,}`,
    "gi",
  ),
];
// One pass decides whether any of them can match; most lines of most logs end here.
const namedHint =
  /token|secret|passw|passphrase|bearer|basic |authorization|[_-]key|apikey|accesskey|privatekey|[?&](?:key|sig|code|auth)/i;
const envHint = /_KEY=|_CREDENTIALS=/;

/** Where a private key of several lines begins and ends. */
export const keyBegins = /-----BEGIN[ A-Z0-9]{0,64}PRIVATE KEY[ A-Z]{0,64}-----/;
export const keyEnds = /-----END[ A-Z0-9]{0,64}PRIVATE KEY[ A-Z]{0,64}-----/;
export const keyHint = "PRIVATE KEY";

/** Finds what looks like a secret, line by line. A key over several lines is the caller's to follow. */
export function patternSpans(text: string): Span[] {
  const spans: Span[] = [];
  for (const { hints, shape } of secretShapes) if (hints.some((hint) => text.includes(hint))) find(shape, text, spans);
  if (namedHint.test(text) || envHint.test(text)) for (const shape of named) find(shape, text, spans);
  return spans;
}

function find(shape: RegExp, text: string, spans: Span[]): void {
  for (const found of text.matchAll(shape)) {
    const [{ length }, readable] = found;
    const from = found.index;
    if (readable !== undefined) spans.push({ from, hide: from + readable.length, to: from + length });
  }
}
