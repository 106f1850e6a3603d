import { expect, test } from "bun:test";
import { failingTarget } from "../../src/core/failing.ts";

// Invented logs in the shapes that these tools print.
test.each<[tool: string, log: string, name: string | null]>([
  [
    "xcodebuild, a test",
    "Test Suite 'LoginTests' started\nTest Case '-[AppTests.LoginTests testRefuses]' started.\nTest Case '-[AppTests.LoginTests testRefuses]' failed (0.012 seconds).\n** TEST FAILED **",
    "AppTests.LoginTests.testRefuses",
  ],
  [
    "xcodebuild, its closing list",
    "Testing failed:\n\tLoginTests.testRefuses()\n\n** TEST FAILED **",
    "LoginTests.testRefuses()",
  ],
  [
    "xcodebuild, failing tests",
    "Failing tests:\n\tLoginTests.testRefuses()\n\tLoginTests.testOther()\n",
    "LoginTests.testRefuses()",
  ],
  [
    "xcodebuild, a build",
    "** BUILD FAILED **\n\n\nThe following build commands failed:\n\tSwiftCompile normal arm64 /w/App/Login.swift (in target 'App' from project 'Acme')\n(1 failure)",
    "App",
  ],
  [
    "xcodebuild, a command without a target",
    "The following build commands failed:\n\tCodeSign /w/App.app\n(1 failure)",
    "CodeSign /w/App.app",
  ],
  [
    "xcodebuild, signing",
    "error: Signing for \"App\" requires a development team. (in target 'App' from project 'Acme')",
    "App",
  ],
  [
    "XCTest on Linux",
    "Test Case 'LoginTests.testRefuses' started at 2026-01-01\n/w/LoginTests.swift:12: error: LoginTests.testRefuses : XCTAssertEqual failed\nTest Case 'LoginTests.testRefuses' failed (0.1 seconds)",
    "LoginTests.testRefuses",
  ],
  [
    "Swift Testing",
    "◇ Test refuses() started.\n✘ Test refuses() recorded an issue at LoginTests.swift:12:3: Expectation failed\n✘ Test refuses() failed after 0.001 seconds with 1 issue.\n✘ Test run with 1 test failed after 0.001 seconds with 1 issue.",
    "refuses()",
  ],
  [
    "Swift Testing, a named test",
    '✘ Test "refuses an expired token" failed after 0.002 seconds with 1 issue.',
    "refuses an expired token",
  ],
  [
    "Swift Testing, only the suite",
    "✘ Suite LoginTests failed after 0.002 seconds with 1 issue.\n✘ Test run with 3 tests failed after 0.1 seconds.",
    null,
  ],
  [
    "Gradle, a test",
    "> Task :app:testDebugUnitTest\n\ncom.acme.LoginTest > refusesExpired() FAILED\n    java.lang.AssertionError\n\n> Task :app:testDebugUnitTest FAILED\n\nExecution failed for task ':app:testDebugUnitTest'.",
    "com.acme.LoginTest > refusesExpired()",
  ],
  [
    "Gradle, a build",
    "> Task :app:compileDebugKotlin FAILED\n\nFAILURE: Build failed with an exception.\nExecution failed for task ':app:compileDebugKotlin'.",
    ":app:compileDebugKotlin",
  ],
  ["Maven", "[ERROR] com.acme.LoginTest.refuses -- Time elapsed: 0.1 s <<< FAILURE!", "com.acme.LoginTest.refuses"],
  [
    "jest",
    "FAIL src/login.test.ts\n  ● Console\n\n  ● Login › refuses an expired token\n\n    expect(received)",
    "Login › refuses an expired token",
  ],
  ["jest, a suite that does not load", "FAIL src/login.test.ts\n  ● Test suite failed to run\n", "src/login.test.ts"],
  [
    "vitest",
    " FAIL  src/login.test.ts > Login > refuses an expired token\nAssertionError",
    "src/login.test.ts > Login > refuses an expired token",
  ],
  [
    "pytest",
    "tests/test_login.py F\nFAILED tests/test_login.py::test_refuses[a b] - AssertionError: assert 1\n1 failed",
    "tests/test_login.py::test_refuses[a b]",
  ],
  [
    "go test",
    "=== RUN   TestLogin\n--- FAIL: TestLogin (0.00s)\n    --- FAIL: TestLogin/refuses (0.00s)\nFAIL\tacme/login\t0.01s",
    "TestLogin",
  ],
  [
    "cargo test",
    "test login::accepts ... ok\ntest login::refuses ... FAILED\n\ntest result: FAILED. 1 passed; 1 failed;",
    "login::refuses",
  ],
  ["rspec", "Failed examples:\n\nrspec ./spec/login_spec.rb:12 # Login refuses", "./spec/login_spec.rb:12"],
  ["bun test", "(pass) Login > accepts [0.10ms]\n(fail) Login > refuses [0.12ms]\n 1 fail", "Login > refuses"],
  ["node --test", "✖ refuses an expired token (1.2ms)\n✖ failing tests:", "refuses an expired token"],
  ["TAP", "ok 1 - accepts\nnot ok 2 - refuses an expired token", "refuses an expired token"],
  ["mocha", "  1 failing\n\n  1) Login refuses", null],
  ["Playwright", "  1) [chromium] › login.spec.ts:3:1 › refuses ────", "[chromium] › login.spec.ts:3:1 › refuses"],
  ["dotnet test", "  Failed Acme.LoginTests.Refuses [12 ms]", "Acme.LoginTests.Refuses"],
  ["colours and a time stamp", "2026-01-01T12:00:00.123Z \u001B[31m--- FAIL: TestLogin\u001B[0m (0.00s)", "TestLogin"],
  [
    "a test beats a build command, whichever comes first",
    "Execution failed for task ':app:test'.\n(fail) Login > refuses [1ms]",
    "Login > refuses",
  ],
  ["a log of a success", "Compiling\nTest Case 'A.b' passed (0.1 seconds)\n** BUILD SUCCEEDED **\n0 failed", null],
])("%s", (_tool, log, name) => expect(failingTarget(log.split("\n"))).toBe(name));

test("a name is one short plain line", () => {
  const name = failingTarget([`(fail) ${"\u001B[31m"}a\u202Eb\u0007${"x".repeat(500)}`]);
  expect(name).toMatch(/^a b x{196}$/);
});
