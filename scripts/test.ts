/**
 * `npm test`: lint, types, drift checks, then the test files of tests/unit, sim, contract, integration and system on real
 * etcd, Kafka and MariaDB. The last line is "N passed, N failed"; a check counts as one.
 *
 *   node scripts/test.ts [--embedded] [checks] [unit] [sim] [contract] [integration] [system] [PATH…]
 *
 * With names or paths only those run. --embedded starts no server and leaves out, by name, the files that need one.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join, resolve } from "node:path";
import { type Backends, backendEnvironment, startBackends, type WantedBackends } from "./backends.ts";
import { type Check, checks } from "./check/checks.ts";
import { type FileOutcome, runFile } from "./test/file-run.ts";
import { killMarked } from "./test/leftovers.ts";
import { type Group, groups, type TestFile, testFiles } from "./test/test-files.ts";

interface Tally {
  passed: number;
  failed: number;
}

interface Selection {
  readonly isEmbedded: boolean;
  readonly runsChecks: boolean;
  readonly files: Map<Group, TestFile[]>;
}

function select(args: readonly string[]): Selection {
  const names = args.filter((arg) => arg !== "--embedded");
  const unknown = names.find((name) => name.startsWith("-"));
  if (unknown) throw new Error(`unknown option ${unknown}; the one option is --embedded`);
  const groupNames: readonly string[] = groups.map(({ name }) => name);
  const paths = names.filter((name) => name !== "checks" && !groupNames.includes(name));
  const files = new Map<Group, TestFile[]>();
  for (const group of groups) {
    if (names.length === 0 || names.includes(group.name)) files.set(group, testFiles(group.name, []));
    else if (paths.length > 0) files.set(group, testFiles(group.name, paths));
  }
  for (const path of paths) {
    const wanted = resolve(path);
    const isFound = [...files.values()].flat().some((file) => `${resolve(file.path)}/`.startsWith(`${wanted}/`));
    if (!isFound)
      throw new Error(`${path} is no test file, folder of test files or group (${groupNames.join(", ")}, checks)`);
  }
  return { isEmbedded: args.includes("--embedded"), runsChecks: names.length === 0 || names.includes("checks"), files };
}

async function runChecks(tally: Tally): Promise<void> {
  console.log("checks");
  const results = checks.map(async (check) => ({ check, ...(await runCheck(check)) }));
  for (const result of results) {
    const { check, note, failure, durationMs } = await result;
    tally[failure === undefined ? "passed" : "failed"]++;
    console.log(line(failure === undefined, note ? `${check.name}, ${note}` : check.name, durationMs));
    if (failure !== undefined) console.log(failure.replace(/^/gm, "      "));
  }
}

async function runCheck(check: Check): Promise<{ note: string; failure?: string; durationMs: number }> {
  const startedAt = performance.now();
  const elapsed = (): number => performance.now() - startedAt;
  try {
    return { note: await check.run(), durationMs: elapsed() };
  } catch (error) {
    return { note: "", failure: error instanceof Error ? error.message : String(error), durationMs: elapsed() };
  }
}

/** Runs the files of one group, at most `concurrency` at a time, telling each as it ends. */
async function runGroup(group: Group, files: TestFile[], shared: SharedRun, tally: Tally): Promise<void> {
  const waiting = [...files];
  const startedAt = performance.now();
  const before = { ...tally };
  console.log(`${group.name}: ${files.length} ${files.length === 1 ? "file" : "files"}`);
  const worker = async (): Promise<void> => {
    for (let file = waiting.shift(); file; file = waiting.shift())
      tell(await runFile({ ...group, ...shared, path: file.path }), tally);
  };
  await Promise.all(Array.from({ length: group.concurrency }, worker));
  const counts = `${tally.passed - before.passed} passed, ${tally.failed - before.failed} failed`;
  console.log(line(tally.failed === before.failed, `${group.name} tests: ${counts}`, performance.now() - startedAt));
}

function tell(outcome: FileOutcome, tally: Tally): void {
  tally.passed += outcome.passed;
  tally.failed += outcome.failures.length;
  const isGood = outcome.failures.length === 0;
  console.log(line(isGood, `${outcome.path} (${outcome.passed})`, outcome.durationMs));
  for (const note of outcome.notes) console.log(`      ${note}`);
  if (isGood) return;
  if (outcome.output !== "") console.log(outcome.output.trimEnd().replace(/^/gm, "      | "));
  for (const failure of outcome.failures) console.log(failure.replace(/^/gm, "      "));
}

interface SharedRun {
  readonly environment: NodeJS.ProcessEnv;
  readonly temporaryRoot: string;
}

/** The tests' environment: ours, without settings of jobmesh and OpenTelemetry that would change what is tested. */
function testEnvironment(backends: Backends | undefined): NodeJS.ProcessEnv {
  const environment: NodeJS.ProcessEnv = {};
  for (const [name, value] of Object.entries(process.env)) {
    if (!/^(JOBMESH|OTEL)_/.test(name)) environment[name] = value;
  }
  return { ...environment, ...(backends ? backendEnvironment(backends) : {}) };
}

/** Starts what the files ask for together; tells and counts it as one failure when that cannot be had. */
async function startServers(files: readonly TestFile[], tally: Tally): Promise<Backends | undefined> {
  const startedAt = performance.now();
  const wants = (name: "etcd" | "kafka" | "mysql"): boolean => files.some(({ wanted }) => wanted[name] === true);
  const wanted = { etcd: wants("etcd"), kafka: wants("kafka"), mysql: wants("mysql") };
  const names = Object.entries(wanted).flatMap(([name, isWanted]) => (isWanted ? [name] : []));
  try {
    const backends = await startBackends(wanted);
    if (names.length > 0) console.log(line(true, `servers: ${names.join(", ")}`, performance.now() - startedAt));
    return backends;
  } catch (error) {
    tally.failed++;
    console.log(line(false, "servers", performance.now() - startedAt));
    console.log((error instanceof Error ? error.message : String(error)).replace(/^/gm, "      "));
    console.log("      `npm run test:embedded` runs what needs none of them");
    return undefined;
  }
}

async function runTests({ files, isEmbedded }: Selection, tally: Tally): Promise<void> {
  const using = [...files.values()].flat().filter(({ needsServers, wanted }) => needsServers || wantsAny(wanted));
  const needing = using.filter(({ needsServers }) => needsServers);
  const backends = isEmbedded || using.length === 0 ? undefined : await startServers(using, tally);
  const temporaryRoot = await mkdtemp(join(tmpdir(), "jm-test-"));
  const end = async (): Promise<void> => {
    await backends?.stop();
    await rm(temporaryRoot, { recursive: true, force: true, maxRetries: 3 });
  };
  const giveUp = (exitCode: number) => (): void => {
    killMarked(temporaryRoot);
    void end().finally(() => process.exit(exitCode));
  };
  process.once("SIGINT", giveUp(130)).once("SIGTERM", giveUp(143));
  try {
    for (const [group, all] of files) {
      const runnable = backends ? all : all.filter(({ needsServers }) => !needsServers);
      if (runnable.length > 0)
        await runGroup(group, runnable, { environment: testEnvironment(backends), temporaryRoot }, tally);
    }
  } finally {
    await end();
  }
  if (backends || using.length === 0) return;
  console.log("without etcd, Kafka and MariaDB these did not run, or only in part:");
  for (const { path } of using)
    console.log(`      ${path}: ${needing.some((file) => file.path === path) ? "not run" : "in part"}`);
}

function wantsAny({ etcd, kafka, mysql }: WantedBackends): boolean {
  return etcd === true || kafka === true || mysql === true;
}

function line(isGood: boolean, text: string, durationMs: number): string {
  return `  ${isGood ? "ok  " : "FAIL"} ${text}  ${(durationMs / 1000).toFixed(1)} s`;
}

async function main(args: readonly string[]): Promise<void> {
  // Run by hand, without npm, the tools are found all the same.
  process.chdir(join(import.meta.dirname, ".."));
  process.env.PATH = [resolve("node_modules/.bin"), process.env.PATH ?? ""].join(delimiter);
  const selection = select(args);
  const tally: Tally = { passed: 0, failed: 0 };
  if (selection.runsChecks) await runChecks(tally);
  await runTests(selection, tally);
  console.log(`\n${tally.passed} passed, ${tally.failed} failed`);
  process.exitCode = tally.failed === 0 && tally.passed > 0 ? 0 : 1;
}

// Whoever reads our output may stop (`npm test | head`): the servers and folders are put away all the same.
process.stdout.on("error", () => undefined);
try {
  await main(process.argv.slice(2));
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
