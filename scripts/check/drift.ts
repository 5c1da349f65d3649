/**
 * The checks that what is generated and what is promised did not drift: gen/ is what buf makes of proto/, the
 * contract passes buf's lint and breaks no caller of the main branch, package-lock.json is whole.
 * Each resolves with a note (often empty) when all is well and throws with what is wrong and what to do.
 */
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runQuietly } from "../backend/installation.ts";
import { type Lock, missingFromLock } from "../complete-lock.ts";

/** What buf makes stubs of: the folder of its buf.yaml, and the descriptors beside the stubs. */
const GENERATED = [
  { source: ".", gen: "gen", image: "image.binpb" },
  { source: "examples/report", gen: "examples/report/gen", image: "descriptors.binpb" },
] as const;

/** Every gen/ is byte by byte what `npm run gen` would make now. */
export async function checkGenerated(): Promise<string> {
  await inTemporaryFolder(async (folder) => {
    const problems: string[] = [];
    for (const { source, gen, image } of GENERATED) {
      const out = join(folder, source);
      await runQuietly("buf", ["generate", source, "--template", join(source, "buf.gen.yaml"), "-o", out]);
      const options = ["--as-file-descriptor-set", "--exclude-source-info"];
      await runQuietly("buf", ["build", source, "-o", join(folder, gen, image), ...options]);
      problems.push(...(await differences(join(folder, gen), gen)));
    }
    if (problems.length > 0) throw new Error(`${problems.join("\n")}\nrun: npm run gen`);
  });
  return "";
}

async function differences(madeIn: string, committedIn: string): Promise<string[]> {
  const [made, committed] = await Promise.all([filesUnder(madeIn), filesUnder(committedIn)]);
  const problems: string[] = [];
  for (const file of [...new Set([...made, ...committed])].sort()) {
    const name = join(committedIn, file);
    if (!committed.includes(file)) problems.push(`${name} is missing`);
    else if (!made.includes(file)) problems.push(`${name} is not generated from a proto file`);
    else if (!(await readFile(name)).equals(await readFile(join(madeIn, file)))) {
      problems.push(`${name} differs from what buf generate makes`);
    }
  }
  return problems;
}

/** buf's lint rules hold for every proto file that is ours. */
export async function checkContractLint(): Promise<string> {
  for (const { source } of GENERATED) await runQuietly("buf", ["lint", source], { maxLines: 100 });
  return "";
}

/**
 * proto/ breaks nothing of the commit it started from: the merge base with the main branch, or, when that is the
 * commit checked out and proto/ has no change on top, the commit before, so that a clone of main compares something.
 */
export async function checkContractBreaking(): Promise<string> {
  const base = await breakingBase();
  if (base === undefined) return "nothing earlier to compare with";
  await inTemporaryFolder(async (folder) => {
    const archive = join(folder, "base.tar");
    await runQuietly("git", ["archive", "-o", archive, base, "proto", "buf.yaml"]);
    await runQuietly("tar", ["-xf", archive, "-C", folder]);
    await runQuietly("buf", ["breaking", "--against", folder], { maxLines: 100 });
  });
  return `against ${base.slice(0, 10)}`;
}

/** package-lock.json has an entry for every optional dependency, without which `npm ci` refuses it. */
export async function checkLock(): Promise<string> {
  const missing = missingFromLock(JSON.parse(await readFile("package-lock.json", "utf8")) as Lock);
  if (missing.length === 0) return "";
  const names = missing.map(({ name }) => name).join(", ");
  throw new Error(`package-lock.json lacks ${names}\nrun: node scripts/complete-lock.ts`);
}

async function breakingBase(): Promise<string | undefined> {
  const head = await commitOf("HEAD");
  if (head === undefined) return undefined;
  const main = (await commitOf("refs/remotes/origin/main")) ?? (await commitOf("refs/heads/main")) ?? head;
  const base = (await git("merge-base", head, main)) ?? head;
  const isChanged = (await git("status", "--porcelain", "--", "proto", "buf.yaml")) !== "";
  const chosen = base === head && !isChanged ? await commitOf("HEAD~1") : base;
  const hasContract = chosen !== undefined && (await git("cat-file", "-e", `${chosen}:proto`)) !== undefined;
  return hasContract ? chosen : undefined;
}

async function commitOf(name: string): Promise<string | undefined> {
  return await git("rev-parse", "--verify", "--quiet", `${name}^{commit}`);
}

/** What git says, trimmed; undefined when it fails, as outside a repository or for what does not exist. */
async function git(...args: string[]): Promise<string | undefined> {
  return existsSync(".git")
    ? await runQuietly("git", args).then(
        (out) => out.trim(),
        () => undefined,
      )
    : undefined;
}

async function filesUnder(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1));
}

async function inTemporaryFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "jm-drift-"));
  try {
    await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
