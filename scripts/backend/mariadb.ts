import { join } from "node:path";
import { createConnection } from "mysql2/promise";
import { freePorts } from "./free-ports.ts";
import { type DebianProgram, ensureProgram, runQuietly } from "./installation.ts";
import { ServerProcess } from "./server-process.ts";

/** The core packages have the programs and no service, so that installing them starts nothing. */
const from = {
  packages: ["mariadb-server-core", "mariadb-client-core"],
  otherwise: "or set JOBMESH_TEST_MYSQL to mysql://USER:PASSWORD@HOST:PORT",
};
const mariadbd: DebianProgram = { program: "mariadbd", ...from };
const installDb: DebianProgram = { program: "mariadb-install-db", ...from };

/** One real MariaDB for tests (Debian's 10.11), flushing at every commit, with root by TCP from 127.0.0.1 only. */
export class MariaDbServer extends ServerProcess {
  constructor() {
    super({ name: "mariadb", portCount: 1, prepare, command, isReady }, freePorts);
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

async function prepare(folder: string): Promise<void> {
  await ensureProgram(mariadbd);
  await runQuietly(await ensureProgram(installDb), [
    "--no-defaults",
    `--datadir=${join(folder, "data")}`,
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
    `--socket=${join(folder, "sock")}`,
    `--pid-file=${join(folder, "pid")}`,
    `--port=${ports[0]}`,
    "--bind-address=127.0.0.1",
    "--skip-name-resolve",
    "--innodb-flush-log-at-trx-commit=1",
    "--innodb-buffer-pool-size=256M",
    "--character-set-server=utf8mb4",
    "--max-connections=500",
  ];
  return { program: await ensureProgram(mariadbd), args };
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
