/**
 * Runs one test file in a process of its own by node:test and tells how its tests ended. Beside a failed test these
 * fail a file: that it ran no test (so also when it exited before its tests were done), that it does not end once
 * its tests have (a socket, timer or process is open), and that it leaves processes behind.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { run } from "node:test";
import { inspect } from "node:util";
import { endLeftovers, killMarked, markVariable } from "./leftovers.ts";

/** What one file needs to run. */
export interface FileRun {
  /** The file's path from the repository's root. */
  readonly path: string;
  /** The longest that one test may take. */
  readonly testTimeoutMs: number;
  /** The longest that the whole file may take. */
  readonly fileTimeoutMs: number;
  /** The environment of its process. */
  readonly environment: NodeJS.ProcessEnv;
  /** The folder that its temporary folder is made in. */
  readonly temporaryRoot: string;
}

/** How one file ended. */
export interface FileOutcome {
  readonly path: string;
  readonly passed: number;
  /** Each failure, ready to be shown. */
  readonly failures: string[];
  /** What tests told by t.diagnostic. */
  readonly notes: string[];
  /** What the file printed, both streams in order. */
  readonly output: string;
  readonly durationMs: number;
}

const afterAbortMs = 3_000;

/** Runs the file; never throws for what the file does. */
export async function runFile(file: FileRun): Promise<FileOutcome> {
  const startedAt = performance.now();
  const folder = await mkdtemp(join(file.temporaryRoot, "f-"));
  const outcome = { path: file.path, passed: 0, failures: [] as string[], notes: [] as string[], output: "" };
  const late = AbortSignal.timeout(file.fileTimeoutMs);
  // A file that does not heed node:test's SIGTERM would keep us waiting for ever.
  late.addEventListener("abort", () => setTimeout(() => killMarked(folder), afterAbortMs).unref());
  const events = run({
    files: [resolve(file.path)],
    timeout: file.testTimeoutMs,
    signal: late,
    env: { ...file.environment, TMPDIR: folder, [markVariable]: folder },
  });
  for await (const event of events) take(event, file, outcome);
  for (const { pid, command } of await endLeftovers(folder)) {
    outcome.failures.push(
      `${file.path} left a process behind: ${pid} ${command}\n    end what the test starts, and wait for its end`,
    );
  }
  await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  return { ...outcome, durationMs: performance.now() - startedAt };
}

type Outcome = { passed: number; failures: string[]; notes: string[]; output: string };
type TestEvent = { type: string; data: unknown };

interface EndedTest {
  name: string;
  line?: number;
  file?: string;
  /** Missing on the event that stands for the file itself. */
  entryFile?: string;
  skip?: string | boolean;
  todo?: string | boolean;
  details: { type?: string; error?: { failureType?: string; cause?: unknown; message: string } };
}

function take({ type, data }: TestEvent, file: FileRun, outcome: Outcome): void {
  if (type === "test:stdout" || type === "test:stderr") outcome.output += (data as { message: string }).message;
  if (type === "test:diagnostic" && (data as { file?: string }).file) {
    outcome.notes.push((data as { message: string }).message);
  }
  if (type === "test:pass") takePass(data as EndedTest, file, outcome);
  if (type === "test:fail") takeFailure(data as EndedTest, file, outcome);
}

function takePass(test: EndedTest, { path }: FileRun, outcome: Outcome): void {
  if (test.details.type === "suite") return;
  if (test.entryFile === undefined) {
    outcome.failures.push(`${path} ran no test, or exited before its tests were done`);
  } else if (test.skip !== undefined || test.todo !== undefined) {
    outcome.failures.push(`${path}:${test.line} "${test.name}" was skipped: a test runs, or it is removed`);
  } else {
    outcome.passed++;
  }
}

function takeFailure(test: EndedTest, file: FileRun, outcome: Outcome): void {
  const error = test.details.error;
  // A suite or a parent fails again for what its tests have told already.
  if (error?.failureType === "subtestsFailed") return;
  if (test.entryFile !== undefined) {
    outcome.failures.push(`${file.path}:${test.line} "${test.name}"\n${indent(describe(error))}`);
  } else if (error?.failureType === "testAborted") {
    const after = `${file.fileTimeoutMs / 1000} s`;
    outcome.failures.push(`${file.path} did not end within ${after}: a socket, timer or process of it is still open`);
  } else {
    outcome.failures.push(`${file.path} failed outside its tests; what it printed is shown above`);
  }
}

function describe(error: EndedTest["details"]["error"]): string {
  const cause = error?.cause ?? error;
  const text =
    cause instanceof Error ? (cause.stack ?? cause.message) : typeof cause === "string" ? cause : inspect(cause);
  return text
    .split("\n")
    .filter((line) => !/^\s+at .*node:internal/.test(line))
    .slice(0, 60)
    .join("\n");
}

function indent(text: string): string {
  return text.replace(/^/gm, "    ");
}
