import { existsSync, globSync, readFileSync, statSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { backendVariables, type WantedBackends } from "../backends.ts";

/** The groups of `npm test` in their order, with what bounds one file of them. */
export const groups = [
  { name: "unit", concurrency: 2, testTimeoutMs: 30_000, fileTimeoutMs: 60_000 },
  { name: "sim", concurrency: 1, testTimeoutMs: 300_000, fileTimeoutMs: 300_000 },
  { name: "contract", concurrency: 2, testTimeoutMs: 60_000, fileTimeoutMs: 300_000 },
  { name: "integration", concurrency: 2, testTimeoutMs: 180_000, fileTimeoutMs: 600_000 },
  { name: "system", concurrency: 1, testTimeoutMs: 900_000, fileTimeoutMs: 1_200_000 },
] as const;

/** One of the groups. */
export type Group = (typeof groups)[number];

/** One test file and what it needs to run. */
export interface TestFile {
  /** Its path from the repository's root. */
  readonly path: string;
  /** Whether it imports the servers' support, directly or not: such a file is left out of test:embedded. */
  readonly needsServers: boolean;
  /**
   * The servers to have ready for it, as far as its text and that of the support it imports tell: what it asks of
   * startBackends, and the variables of backendVariables that it names. The others it starts by itself. A file that
   * only names variables runs in test:embedded too, on what needs no server.
   */
  readonly wanted: WantedBackends;
}

const serverSupport = "tests/support/backends.ts";

/** The test files of a group, or those of it that a wanted path names (a file, a folder, or "tests/unit/x"). */
export function testFiles(group: string, paths: readonly string[]): TestFile[] {
  const all = globSync(`tests/${group}/**/*.test.ts`)
    .map((path) => normalize(path))
    .sort();
  const chosen = paths.map((path) => normalize(path).replace(/\/$/, ""));
  return all
    .filter((path) => chosen.length === 0 || chosen.some((wanted) => path === wanted || path.startsWith(`${wanted}/`)))
    .map(describe);
}

function describe(path: string): TestFile {
  const reached = new Set<string>();
  collectImports(path, reached);
  const needsServers = reached.has(serverSupport) || [...reached].some((file) => file.startsWith("scripts/backend"));
  const own = [...reached].filter((file) => file.startsWith("tests/") && file !== serverSupport);
  const text = own.map((file) => readFileSync(file, "utf8")).join("\n");
  const wants = (name: keyof typeof backendVariables): boolean =>
    text.includes(backendVariables[name]) || (needsServers && new RegExp(`\\b${name}: true`).test(text));
  return { path, needsServers, wanted: { etcd: wants("etcd"), kafka: wants("kafka"), mysql: wants("mysql") } };
}

/** The files of tests/ and scripts/ that a file reaches by relative imports, itself included. */
function collectImports(path: string, reached: Set<string>): void {
  if (reached.has(path) || !/^(tests|scripts)\//.test(path) || !existsSync(path) || !statSync(path).isFile()) return;
  reached.add(path);
  if (path === serverSupport) return;
  for (const [, target] of readFileSync(path, "utf8").matchAll(/(?:from|import|import\()\s*"(\.[^"]+)"/g)) {
    if (target) collectImports(normalize(join(dirname(path), target)), reached);
  }
}
