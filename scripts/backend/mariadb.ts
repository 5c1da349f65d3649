import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { createConnection } from "mysql2/promise";
import { type DebianProgram, ensureProgram, runQuietly } from "./installation.ts";
import type { ContainerRun } from "./server-container.ts";
import { TestServer, type TestServerRecipe } from "./test-server.ts";

/** The core packages have the programs and no service, so that installing them starts nothing. */
const from = {
  packages: ["mariadb-server-core", "mariadb-client-core"],
  otherwise: "or set JOBMESH_TEST_MYSQL to mysql://USER:PASSWORD@HOST:PORT",
};
const mariadbd: DebianProgram = { program: "mariadbd", ...from };
const installDb: DebianProgram = { program: "mariadb-install-db", ...from };

/** How to run MariaDB, either way. */
export const mariaDbRecipe: TestServerRecipe = {
  name: "mariadb",
  portCount: 1,
  prepare,
  command,
  container,
  isReady,
};

/** One real MariaDB for tests (10.11), flushing at every commit, reached as root by TCP from 127.0.0.1 only. */
export class MariaDbServer extends TestServer {
  constructor() {
    super(mariaDbRecipe);
  }

  /** The URL of root without a database, such as "mysql://root@127.0.0.1:3306". */
  get url(): string {
    return `mysql://root@127.0.0.1:${this.ports[0]}`;
  }
}

/** mariadbd refuses to run as root unless told to. */
function asUser(): string[] {
  return process.getuid?.() === 0 ? ["--user=root"] : [];
}

/** Its own: a server that starts removes the temporary tables of every other in the same folder. */
const tmpDir = (folder: string): string => `--tmpdir=${join(folder, "tmp")}`;

async function prepare(folder: string): Promise<void> {
  await ensureProgram(mariadbd);
  await mkdir(join(folder, "tmp"), { recursive: true });
  await runQuietly(await ensureProgram(installDb), [
    "--no-defaults",
    `--datadir=${join(folder, "data")}`,
    tmpDir(folder),
    "--auth-root-authentication-method=normal",
    "--skip-test-db",
    ...asUser(),
  ]);
}

async function command(folder: string, ports: readonly number[]): Promise<{ program: string; args: string[] }> {
  const args = [
    "--no-defaults",
    ...asUser(),
    `--datadir=${join(folder, "data")}`,
    tmpDir(folder),
    `--socket=${join(folder, "sock")}`,
    `--pid-file=${join(folder, "pid")}`,
    "--bind-address=127.0.0.1",
    ...settings(ports),
  ];
  return { program: await ensureProgram(mariadbd), args };
}

function container(ports: readonly number[]): ContainerRun {
  return { image: "mariadb:10.11", environment: { MARIADB_ALLOW_EMPTY_ROOT_PASSWORD: "1" }, args: settings(ports) };
}

function settings(ports: readonly number[]): string[] {
  return [
    `--port=${ports[0]}`,
    "--skip-name-resolve",
    "--innodb-flush-log-at-trx-commit=1",
    "--innodb-buffer-pool-size=256M",
    "--character-set-server=utf8mb4",
    "--max-connections=500",
  ];
}

async function isReady(ports: readonly number[]): Promise<boolean> {
  const connection = await createConnection({
    host: "127.0.0.1",
    port: ports[0] ?? 0,
    user: "root",
    connectTimeout: 2_000,
  });
  try {
    await connection.query("SELECT 1");
    return true;
  } finally {
    connection.destroy();
  }
}
