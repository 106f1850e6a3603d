import { plainLine } from "./plain.ts";

/** What a line says: group 1 (or the groups, joined) names what failed. The higher the rank, the closer to the cause. */
interface Saying {
  line: RegExp;
  rank: number;
  name?: (found: RegExpExecArray) => string;
}

const test = 3;
const part = 2;
const file = 1;

// What test runners and build tools print; a leading time stamp is allowed.
const sayings: Saying[] = [
  // XCTest: `Test Case '-[AppTests.LoginTests testX]' failed (0.1 seconds).`, on Linux `'LoginTests.testX'`
  { line: /Test [Cc]ase '-?\[?([^'\]]+)\]?' failed\b/, rank: test, name: ([, name = ""]) => name.replace(" ", ".") },
  {
    line: /\.swift:\d+: error: -?\[?([\w.]+[. ]\w+)\]? : /,
    rank: test,
    name: ([, name = ""]) => name.replace(" ", "."),
  },
  // Swift Testing: `✘ Test "shows it" failed after …`, `✘ Test shows() recorded an issue at …`
  {
    line: /(?:✘|􀢄|×|\[FAIL\]) Test (?!run\b|case\b)(?:"([^"]+)"|([^\s"]+\([^)]*\))) (?:failed|recorded an issue|with )/u,
    rank: test,
    name: ([, quoted, plain]) => quoted ?? plain ?? "",
  },
  // pytest: `FAILED tests/test_a.py::test_b - AssertionError`
  { line: /\bFAILED ((?:[^\s:]+)::\S.*?)(?: - .*)?$/, rank: test },
  // go test: `--- FAIL: TestX/sub (0.00s)`
  { line: /--- FAIL: (\S+)/, rank: test },
  // cargo test: `test login::refuses ... FAILED`
  { line: /\btest (\S+)(?: - should panic)? \.\.\. FAILED$/, rank: test },
  // rspec: `rspec ./spec/login_spec.rb:12 # Login refuses`
  { line: /^\W*rspec (\.\/\S+:\d+|'\.\/[^']+')/, rank: test, name: ([, name = ""]) => name.replaceAll("'", "") },
  // bun test: `(fail) Login > refuses [0.12ms]`
  { line: /^\W*\(fail\) (.+?)(?: \[[\d.]+ ?m?s\])?$/, rank: test },
  // vitest: ` FAIL  src/login.test.ts > Login > refuses`; jest: ` FAIL src/login.test.ts`
  { line: /^\s*(?:❯ )?FAIL +(?:\|[\w-]+\| +)?(\S+ > .+)$/, rank: test },
  { line: /^\s*FAIL +(\S+\.[cm]?[jt]sx?)\b/, rank: file },
  // jest: `  ● Login › refuses`; node --test: `✖ refuses (1.2ms)`
  { line: /^\s*● (?!Console|Test suite failed|Validation|Deprecation)(.*\S › .+|\S.+)$/, rank: test },
  { line: /^\s*✖ (?!failing tests)(.+) \([\d.]+ms\)$/, rank: test },
  // mocha and Playwright: `  1) Login refuses`, `  1) [chromium] › login.spec.ts:3:1 › refuses`
  { line: /^\s*1\) (\[\w+\] › .+?)(?: ─+)?$/, rank: test },
  // Gradle: `com.acme.LoginTest > refuses() FAILED`, `> Task :app:test FAILED`, `Execution failed for task ':app:test'.`
  { line: /^\s*([\w.$]+(?: > [^>]+)+) FAILED$/, rank: test },
  { line: /Execution failed for task '([^']+)'/, rank: part },
  { line: /> Task (:\S+) FAILED$/, rank: part },
  // Maven: `[ERROR] com.acme.LoginTest.refuses -- Time elapsed: 0.1 s <<< FAILURE!`
  {
    line: /\[ERROR\]\s+([\w.$]+)(?:\(([\w.$]+)\))?\s.*<<< (?:FAILURE|ERROR)!/,
    rank: test,
    name: ([, name = "", type]) => (type ? `${type}.${name}` : name),
  },
  // dotnet test: `  Failed Acme.LoginTests.Refuses [12 ms]`
  { line: /^\s*Failed ([\w.+]+(?:\([^)]*\))?) \[[^\]]+\]$/, rank: test },
  // TAP: `not ok 3 - refuses`
  { line: /^\s*not ok \d+ -? ?([^#\s].*?)(?: #.*)?$/, rank: test },
  // xcodebuild: `error: … (in target 'App' from project 'App')`
  { line: /error: .*\(in target '([^']+)' from project '[^']+'\)/, rank: part },
];

// Headings whose next indented lines name what failed.
const headings: { line: RegExp; rank: number; entry: RegExp }[] = [
  { line: /^\s*(?:Testing failed|Failing tests):$/, rank: test, entry: /^\s+(-?\[?[\w.]+(?:[. /][\w()]+)+\]?)$/ },
  {
    line: /^\s*The following build commands failed:$/,
    rank: part,
    entry: /^\s+(?:.*\(in target '([^']+)' from project '[^']+'\)|(\S.*))$/,
  },
];
const headingLasts = 8;

/** A text without any of these, in any spelling, names no failure. Held against Latin-1 bytes as well as text. */
export const mayNameFailure =
  /fail|error|✘|\u00E2\u009C\u0098|\u00E2\u009C\u0096|✖|●|\u00E2\u0097\u008F|not ok|rspec |^\s*1\) /im;

/**
 * Without any of these, in the spellings that occur, no line of a long text names a failure; the signs stand for their first
 * byte. To look for each is many times faster than the expression.
 */
export const failureWords = ["fail", "Fail", "FAIL", "error", "Error", "ERROR", "not ok", "rspec ", "1) ", "\u00E2"];

/** Watches a log for the name of what failed: the first test that failed, else the first target, task or file. */
export class FailingTarget {
  #name: string | null = null;
  #rank = 0;
  #heading: { rank: number; entry: RegExp; left: number } | undefined;

  get name(): string | null {
    return this.#name;
  }

  /** True when nothing better can come. */
  get settled(): boolean {
    return this.#rank === test;
  }

  /** True while the lines after a heading are awaited, whatever they hold. */
  get waiting(): boolean {
    return this.#heading !== undefined;
  }

  /** Reads one line of the log. */
  see(raw: string): void {
    if (this.#rank === test) return;
    const line = plainLine(raw.replace(timeStamp, ""), 2000);
    this.#underHeading(line);
    if (!mayNameFailure.test(line)) return;
    for (const heading of headings) if (heading.line.test(line)) this.#heading = { ...heading, left: headingLasts };
    for (const { line: shape, rank, name } of sayings) {
      if (rank <= this.#rank) continue;
      const found = shape.exec(line);
      if (found) this.#take(name ? name(found) : (found[1] ?? ""), rank);
    }
  }

  #underHeading(line: string): void {
    const heading = this.#heading;
    if (!heading) return;
    const entry = heading.entry.exec(line);
    if (entry) this.#take((entry[1] ?? entry[2] ?? "").replace(/^-\[|\]$/g, ""), heading.rank);
    heading.left--;
    if (entry || heading.left === 0) this.#heading = undefined;
  }

  #take(name: string, rank: number): void {
    const short = plainLine(name.trim(), 200);
    if (short === "" || rank <= this.#rank) return;
    this.#name = short;
    this.#rank = rank;
  }
}

const timeStamp = /^\s?\[?\d{4}-\d\d-\d\d[T ][\d:.,]+(?:Z|[+-]\d\d:?\d\d)?\]?\s|^\[\d\d:\d\d:\d\d(?:[.,]\d+)?\]\s/;

/** Names what failed, as far as the lines of a log say: the first test that failed, else the first target, task or file; null when none does. */
export function failingTarget(lines: string[]): string | null {
  const watch = new FailingTarget();
  for (const line of lines) watch.see(line);
  return watch.name;
}
