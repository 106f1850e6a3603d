import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { LineMask } from "../../src/core/lines.ts";
import { exactMask, maskPatterns, secretSpans } from "../../src/core/redact.ts";
import { cover } from "../../src/core/spans.ts";

const x = (length: number, alphabet = "a1B2c3D4"): string =>
  alphabet.repeat(Math.ceil(length / alphabet.length)).slice(0, length);
const hidden = (name: string, before: string, after: string): [string, string, string] => [name, before, after];

describe("by pattern", () => {
  test.each([
    hidden("Atlassian token", `using ATATT3x${x(40)}=1A2B3C4D now`, "using *** now"),
    hidden("YouTrack token", `perm:${x(12)}.${x(8)}.${x(20)}`, "perm:***"),
    hidden("YouTrack token, new form", `perm-${x(12)}.${x(8)}.${x(20)}`, "perm-***"),
    hidden(
      "Mattermost hook",
      `POST https://chat.acme.example/hooks/${x(26, "a1b2c3")} ok`,
      "POST https://chat.acme.example/hooks/*** ok",
    ),
    hidden("Slack hook", `https://hooks.slack.com/services/T0A/B0B/${x(24)}`, "https://hooks.slack.com/services/***"),
    hidden("Slack bot token", `xoxb-12345678-${x(24)}`, "***"),
    hidden("GitHub token", `ghp_${x(36)}`, "***"),
    hidden("GitHub fine-grained token", `github_pat_${x(60)}`, "***"),
    hidden("GitLab token", `glpat-${x(20)}`, "***"),
    hidden(
      "Google Chat hook",
      `https://chat.googleapis.com/v1/spaces/A/messages?key=${x(39)}&token=${x(43)}`,
      "https://chat.googleapis.com/v1/spaces/A/messages?key=***&token=***",
    ),
    hidden(
      "Power Automate",
      `https://acme.logic.azure.com/workflows/1?sp=%2F&sv=1.0&sig=${x(43)}`,
      "https://acme.logic.azure.com/workflows/1?sp=%2F&sv=1.0&sig=***",
    ),
    hidden("Redis password", "redis://default:hunter2@10.0.0.5:6379/0", "redis://default:***@10.0.0.5:6379/0"),
    hidden("password without a user", "rediss://:hunter2@cache/0", "rediss://:***@cache/0"),
    hidden("password with an @", "postgres://ci:hun@ter2@db/x", "postgres://ci:***@db/x"),
    hidden("token for a user", `https://${x(30)}@git.acme.example/app.git`, "https://***@git.acme.example/app.git"),
    hidden("bearer", `Authorization: Bearer ${x(24)}`, "Authorization: Bearer ***"),
    hidden("short basic", "-H 'Authorization: Basic Y2k6cHc='", "-H 'Authorization: Basic ***'"),
    hidden("basic in JSON", '{"authorization":"Basic Y2k6cHc="}', '{"authorization":"Basic ***"}'),
    hidden("AWS key id", "AKIA1234567890ABCDEF", "***"),
    hidden("JWT", `eyJ${x(20)}.eyJ${x(30)}.${x(43)}`, "***"),
    hidden("Linear", `lin_api_${x(40)}`, "***"),
    hidden("npm", `npm_${x(36)}`, "***"),
    hidden("signing secret", `whsec_${x(32)}`, "whsec_***"),
    hidden(
      "Discord hook",
      `https://discord.com/api/webhooks/123456789/${x(68)}`,
      "https://discord.com/api/webhooks/123456789/***",
    ),
    hidden(
      "Telegram bot",
      `https://api.telegram.org/bot123456789:AA${x(33)}/sendMessage`,
      "https://api.telegram.org/bot123456789:***/sendMessage",
    ),
    hidden("64 hex after a name", `token: ${x(64, "0123456789abcdef")}`, "token: ***"),
    hidden("JSON field", `{"password":"${x(24)}"}`, '{"password":"***"}'),
    hidden("option", "deploy --password=hunter22 --to prod", "deploy --password=*** --to prod"),
    hidden("environment", "export MATCH_PASSWORD=hunter22", "export MATCH_PASSWORD=***"),
    hidden("quoted environment", 'SIGNING_KEY="with some blanks" next', "SIGNING_KEY=*** next"),
    hidden(
      "key on one line",
      '{"key":"-----BEGIN PRIVATE KEY-----\\nMIIabc\\n-----END PRIVATE KEY-----\\n"}',
      '{"key":"***\\n"}',
    ),
    hidden(
      "key over lines",
      "a\n-----BEGIN RSA PRIVATE KEY-----\nMIIabc\n+/=\n-----END RSA PRIVATE KEY-----\nb",
      "a\n***\nb",
    ),
  ])("hides: %s", (_name, before, after) => {
    expect(maskPatterns(before)).toBe(after);
    expect(maskPatterns(after)).toBe(after);
  });

  test.each([
    "HEAD is now at 3f2a9c1b7d3f2a9c1b7d3f2a9c1b7d3f2a9c1b7d Mend the login",
    "commit 3f2a9c1b7d3f2a9c1b7d3f2a9c1b7d3f2a9c1b7d3f2a9c1b7d3f2a9c1b7d3f2a",
    "run 01975f3e-1c2d-7e4f-8a9b-0c1d2e3f4a5b started",
    "Simulator 8A1B2C3D-4E5F-6071-8293-A4B5C6D7E8F9 booted",
    "MESHMAC_ISSUE_KEY=MOB-12 MESHMAC_REF=main",
    "https://user@git.acme.example/app.git and http://localhost:8080/path@2x.png",
    "git@github.com:acme/app.git",
    "Basic functionality works; the bearer of news; a token ring",
    "error: password must not be empty",
    "CompileSwift normal arm64 /Users/ci/app/TokenStore.swift (in target 'App' from project 'App')",
    "npm_config_registry=https://packages.example/ npm_package_name=app",
    "permissions: perm-test",
    "let token = tokenizer.nextTokenInTheStream()",
    "basic Sources/App/Login/LoginView.swift",
    "public key: -----BEGIN PUBLIC KEY-----",
  ])("leaves alone: %s", (line) => expect(maskPatterns(line)).toBe(line));
});

describe("by value", () => {
  const value = 'p@ss/w&rd <ü> "7"+';
  const bytes = Buffer.from(value);
  const mask = exactMask([value]);

  test.each([
    ["plain", value],
    ["as Latin-1 bytes", bytes.toString("latin1")],
    ["in a URL", encodeURIComponent(value)],
    ["in a form", encodeURIComponent(value).replaceAll("%20", "+")],
    ["in JSON", JSON.stringify(value).slice(1, -1)],
    ["in XML", "p@ss/w&amp;rd &lt;ü&gt; &quot;7&quot;+"],
  ])("hides it %s", (_how, form) => expect(mask(`a ${form} z`)).toBe("a *** z"));

  test.each([0, 1, 2])("hides its Base64 behind %i other bytes", (shift) => {
    const around = Buffer.concat([Buffer.from("abc".slice(0, shift)), bytes, Buffer.from("tail")]);
    for (const encoding of ["base64", "base64url"] as const) {
      const text = around.toString(encoding);
      const shown = mask(text);
      expect(shown).toMatch(/^\w{0,4}\*\*\*\w{4,10}=*$/);
    }
  });

  test("of a URL hides also what is secret in it", () => {
    const hide = exactMask(["https://chat.acme.example/hooks/h1j2k3l4m5n6o7p8?token=tok-123456&x=1"]);
    expect(hide("h1j2k3l4m5n6o7p8, tok-123456, chat.acme.example, hooks")).toBe("***, ***, chat.acme.example, hooks");
  });

  test("of several lines hides each", () => {
    expect(exactMask(["-----BEGIN X-----\nMIIabcdefghij\n-----END X-----"])("> MIIabcdefghij <")).toBe("> *** <");
  });

  test("leaves short values alone, can keep the length, and does nothing without values", () => {
    expect(exactMask(["main", "12345"])("main 12345")).toBe("main 12345");
    expect(exactMask(["secret-1"], { keepLength: true })("a secret-1 z")).toBe("a ******** z");
    expect(exactMask([])("text")).toBe("text");
  });

  test("hides overlapping values whole", () => {
    expect(exactMask(["abcdef123", "123456xyz"])("-abcdef123456xyz-")).toBe("-***-");
  });
});

describe("in a stream", () => {
  const values = ["s3cret-value-one", "another/secret+two", "line-a-of-key\nline-b-of-key"];
  const find = secretSpans(values);
  const forms = [
    ...values.flatMap((value) => value.split("\n")),
    ...values.slice(0, 2).flatMap((value) => [btoa(value), encodeURIComponent(value)]),
    `ghp_${x(36)}`,
  ];
  // The last characters of a Base64 text depend on what follows, and are left.
  const needles = [...forms.map((form) => form.replace(/.{4}=*$/, "")), "hunter2hunter2"];
  const all = (...pieces: string[]): string => {
    const mask = new LineMask(find);
    return pieces.map((piece) => mask.push(piece)).join("") + mask.end();
  };

  const fragment = fc.oneof(
    fc.constantFrom(...forms, "redis://u:hunter2hunter2@h", "API_TOKEN=hunter2hunter2", " ", "\n", "\r\n", "\t"),
    fc.constantFrom(
      "-----BEGIN PRIVATE KEY-----\n",
      "-----END PRIVATE KEY-----",
      "x".repeat(70_000),
      "word ".repeat(15_000),
    ),
    fc.string({ unit: "binary-ascii", maxLength: 20 }),
  );

  test("any split gives the same text, and nothing survives in any", () => {
    fc.assert(
      fc.property(
        fc.array(fragment, { maxLength: 12 }).map((parts) => parts.join(" ")),
        fc.array(fc.nat(), { maxLength: 12 }),
        (text, cuts) => {
          const at = [0, ...cuts.map((cut) => cut % (text.length + 1)).toSorted((a, b) => a - b), text.length];
          const pieces = at.slice(1).map((to, index) => text.slice(at[index], to));
          const masked = all(...pieces);
          expect(masked).toBe(all(text));
          for (const needle of needles) expect(masked).not.toContain(needle);
        },
      ),
      { numRuns: 400 },
    );
  });

  test("byte by byte is the same, too", () => {
    const text = forms.map((needle, index) => `${index} https://u:${needle}@h ${needle}\n`).join("");
    expect(all(...text)).toBe(all(text));
  });

  test("a quiet writer's line goes out to its last blank, and what follows still counts as one line", () => {
    const mask = new LineMask(find);
    expect(mask.push("Authorization: Bearer ") + mask.quiet()).toBe("Authorization: Bearer ");
    expect(mask.push(x(10)) + mask.quiet()).toBe("");
    expect(mask.push(`${x(20)} ok\nnext`)).toBe("*** ok\n");
    expect(mask.end()).toBe("next");
  });

  test("a secret across the place where a long line is cut stays hidden", () => {
    for (let lead = 57_000; lead < 57_600; lead += 7) {
      const line = `${"y".repeat(lead)}s3cret-value-one${"z".repeat(20_000)}`;
      expect(all(line)).toBe(`${"y".repeat(lead)}***${"z".repeat(20_000)}`);
    }
  });

  test("a private key is hidden line by line to its end, and talk about keys hides no more than that", () => {
    const key = `${"MIIabcDEF123\n".repeat(20)}`;
    expect(all(`a\n-----BEGIN PRIVATE KEY-----\n${key}-----END PRIVATE KEY-----\nb\n`)).toBe(
      `a\n${"***\n".repeat(22)}b\n`,
    );
    const open = all(`-----BEGIN PRIVATE KEY-----\n${"text\n".repeat(300)}`);
    expect(open).toEndWith("text\ntext\n");
  });

  test("never lengthens a text by more than the mask, nor touches the rest", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 200 }), (text) => {
        const quietText = text.replace(/[:=/.-]/g, "");
        expect(all(quietText)).toBe(quietText);
      }),
    );
  });
});

test("covers spans in any order, overlapping or not", () => {
  const spans = [
    { from: 6, hide: 7, to: 9 },
    { from: 0, hide: 1, to: 4 },
    { from: 2, hide: 3, to: 6 },
  ];
  expect(cover("0123456789", spans)).toBe("0***6***9");
  expect(cover("0123456789", spans, { start: 8 })).toBe("***9");
});
