/**
 * Tools that tests call as a user would: the real grpcurl, etcdctl and openssl. `node scripts/tools.ts` installs them and prints
 * where they are.
 */
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import {
  cacheFolder,
  ensureProgram,
  findBinary,
  NotInstallable,
  runQuietly,
  withLock,
} from "./backend/installation.ts";

/** The version of grpcurl that the tests run. */
export const grpcurlVersion = "1.9.4";

/**
 * The path of the real grpcurl, built by Go into the cache folder at the first call (2 minutes on 2 cores; a later
 * call is at once). Throws NotInstallable where there is no Go, or its modules cannot be had.
 */
export async function ensureGrpcurl(): Promise<string> {
  const file = join(cacheFolder, `grpcurl-${grpcurlVersion}`);
  if (existsSync(file)) return file;
  const go = findBinary("go");
  if (!go)
    throw new NotInstallable("grpcurl is not installed, and there is no Go to build it: install Go 1.24 or newer");
  return await withLock("grpcurl", async () => {
    if (existsSync(file)) return file;
    console.log(`jobmesh: building grpcurl ${grpcurlVersion} by Go into ${cacheFolder} (2 minutes, once)`);
    const work = await mkdtemp(join(cacheFolder, "grpcurl-new-"));
    try {
      const module = `github.com/fullstorydev/grpcurl/cmd/grpcurl@v${grpcurlVersion}`;
      await runQuietly(go, ["install", "-ldflags", "-s -w", module], { env: { GOBIN: work } });
      await rename(join(work, "grpcurl"), file);
    } catch (error) {
      throw new NotInstallable(`grpcurl could not be built: ${error instanceof Error ? error.message : String(error)}`);
    } finally {
      await rm(work, { recursive: true, force: true });
    }
    return file;
  });
}

/** The path of etcdctl, from Debian's etcd-client; call it with ETCDCTL_API=3. Throws NotInstallable. */
export async function ensureEtcdctl(): Promise<string> {
  return await ensureProgram({ program: "etcdctl", packages: ["etcd-client"], otherwise: "from etcd 3.4 or newer" });
}

/** The path of openssl, from Debian's package; docs/security.md makes certificates by it. Throws NotInstallable. */
export async function ensureOpenssl(): Promise<string> {
  return await ensureProgram({ program: "openssl", packages: ["openssl"], otherwise: "3 or newer" });
}

async function main(): Promise<void> {
  await mkdir(cacheFolder, { recursive: true });
  console.log(await ensureEtcdctl());
  console.log(await ensureOpenssl());
  console.log(await ensureGrpcurl());
}

if (import.meta.main) await main();
