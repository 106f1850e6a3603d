import type { Result } from "./case.ts";
import { shownExpected, shownGot } from "./shown.ts";

/** Writes results as JUnit XML, a test suite per suite and source: https://github.com/testmoapp/junitxml */
export function junitOf(results: readonly Result[]): string {
  const suites = [...Map.groupBy(results, ({ suite, source }) => `${suite} ${source}`)].map(([name, some]) => {
    const cases = some.map(testcase).join("");
    return `  <testsuite ${counts(name, some)}>\n${cases}  </testsuite>\n`;
  });
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites ${counts("meshmac probe", results)}>\n${suites.join("")}</testsuites>\n`;
}

function counts(name: string, results: readonly Result[]): string {
  const failures = results.filter(({ ok }) => !ok).length;
  const seconds = results.reduce((sum, { ms }) => sum + ms, 0) / 1000;
  return `name="${escaped(name)}" tests="${results.length}" failures="${failures}" time="${seconds}"`;
}

function testcase({ suite, source, name, ok, expected, got, look, ms }: Result): string {
  const head = `    <testcase classname="${escaped(`${suite}.${source}`)}" name="${escaped(name)}" time="${ms / 1000}"`;
  if (ok) return `${head}/>\n`;
  const message = escaped(`expected ${shownExpected(expected)}, got ${shownGot(got)}`);
  return `${head}>\n      <failure message="${message}">${escaped(look ?? "")}</failure>\n    </testcase>\n`;
}

// XML 1.0 has no way to write most control characters: https://www.w3.org/TR/xml/#charsets
const escaped = (text: string): string =>
  text
    .replace(/[\u0000-\u0008\u000B\u000C\u000E-\u001F\uFFFE\uFFFF]/g, " ")
    .replace(/[<>&"'\n\t\r]/g, (sign) => `&#${sign.codePointAt(0)};`);
