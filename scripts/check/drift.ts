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

/** gen/ is byte by byte what `npm run gen` would make now. */
export async function checkGenerated(): Promise<string> {
  await inTemporaryFolder(async (folder) => {
    await runQuietly("buf", ["generate", "-o", folder]);
    const image = join(folder, "gen", "image.binpb");
    await runQuietly("buf", ["build", "-o", image, "--as-file-descriptor-set", "--exclude-source-info"]);
    const [made, committed] = await Promise.all([filesUnder(join(folder, "gen")), filesUnder("gen")]);
    const drifted = [...new Set([...made, ...committed])].sort();
    const problems: string[] = [];
    for (const file of drifted) {
      if (!committed.includes(file)) problems.push(`gen/${file} is missing`);
      else if (!made.includes(file)) problems.push(`gen/${file} is not generated from proto/`);
      else if (!(await readFile(join("gen", file))).equals(await readFile(join(folder, "gen", file)))) {
        problems.push(`gen/${file} differs from what buf generate makes`);
      }
    }
    if (problems.length > 0) throw new Error(`${problems.join("\n")}\nrun: npm run gen`);
  });
  return "";
}

/** buf's lint rules of buf.yaml hold for proto/. */
export async function checkContractLint(): Promise<string> {
  await runQuietly("buf", ["lint"], { maxLines: 100 });
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
