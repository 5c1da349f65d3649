/**
 * The real servers for tests. A test file that imports this one needs servers: `npm run test:embedded` leaves it out.
 * Isolation: a database of its own for each test (createDatabase), a cluster name of its own for etcd and Kafka.
 */
import { randomBytes } from "node:crypto";
import { createConnection } from "mysql2/promise";

export { EtcdServer } from "../../scripts/backend/etcd.ts";
export { KafkaServer } from "../../scripts/backend/kafka.ts";
export { MariaDbServer } from "../../scripts/backend/mariadb.ts";
export { type Backends, startBackends, type WantedBackends } from "../../scripts/backends.ts";

/** An empty database of one test. */
export interface TestDatabase {
  /** Its URL, such as "mysql://root@127.0.0.1:3306/jobmesh_test_0a1b". */
  readonly url: string;
  /** Drops it. */
  drop(): Promise<void>;
}

/** Makes an empty database on the server at `mysqlUrl` (Backends.mysqlUrl). */
export async function createDatabase(mysqlUrl: string): Promise<TestDatabase> {
  const name = `jobmesh_test_${randomBytes(6).toString("hex")}`;
  await statement(mysqlUrl, `CREATE DATABASE ${name} CHARACTER SET utf8mb4`);
  const url = new URL(mysqlUrl);
  url.pathname = `/${name}`;
  return { url: url.toString(), drop: () => statement(mysqlUrl, `DROP DATABASE IF EXISTS ${name}`) };
}

/** A cluster name of one test: it keeps the test's etcd keys, topics and groups apart from all others. */
export function testCluster(): string {
  return `test-${randomBytes(6).toString("hex")}`;
}

async function statement(mysqlUrl: string, sql: string): Promise<void> {
  const connection = await createConnection(mysqlUrl);
  try {
    await connection.query(sql);
  } finally {
    connection.destroy();
  }
}
