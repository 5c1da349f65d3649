/**
 * The real servers of the tests and benchmarks: etcd, Kafka and MariaDB. `node scripts/backends.ts [etcd] [kafka]
 * [mysql]` starts them (all when none is named), prints how to reach them, and stops them at Ctrl-C.
 *
 * Each is, in this order: the one that its variable gives (backendVariables); what JOBMESH_TEST_ENGINE=local|container
 * asks for; a process of this machine, installed where it can be; a container where docker or podman answers
 * (scripts/backend/test-server.ts). What was started is told in one line a server.
 */
import { once } from "node:events";
import { EtcdServer } from "./backend/etcd.ts";
import { KafkaServer } from "./backend/kafka.ts";
import { MariaDbServer } from "./backend/mariadb.ts";
import { engineVariable, type TestServer } from "./backend/test-server.ts";

/** Which servers are wanted. One that is left out is not started. */
export interface WantedBackends {
  readonly etcd?: boolean;
  readonly kafka?: boolean;
  readonly mysql?: boolean;
}

/** How to reach the servers that were asked for; empty for the others. */
export interface Backends {
  /** Such as ["http://127.0.0.1:2379"]. */
  readonly etcdEndpoints: string[];
  /** Such as ["127.0.0.1:9092"]. */
  readonly kafkaBrokers: string[];
  /** A user who may create databases, without a database, such as "mysql://root@127.0.0.1:3306". */
  readonly mysqlUrl: string;
  /** Ends what startBackends started, and removes its data; does nothing to servers that were given. */
  stop(): Promise<void>;
}

/** The environment variables that give tests their servers; lists are comma-separated. */
export const backendVariables = {
  etcd: "JOBMESH_TEST_ETCD",
  kafka: "JOBMESH_TEST_KAFKA",
  mysql: "JOBMESH_TEST_MYSQL",
} as const;

/**
 * Gives the wanted servers: those that the environment names (see backendVariables), else new ones, installed where
 * they are missing or in containers (see TestServer). Throws when one cannot be had, NotInstallable among others, after ending those it had started.
 */
export async function startBackends(wanted: WantedBackends): Promise<Backends> {
  const given = givenBackends();
  const started: TestServer[] = [];
  const start = async <S extends TestServer>(server: S): Promise<S> => {
    started.push(server);
    await server.start();
    console.error(`jobmesh: ${server.name} runs ${server.way}`); // stdout is for the exports
    return server;
  };
  const stop = async (): Promise<void> => {
    await Promise.all(started.map((server) => server.dispose()));
  };
  // All are waited for, so that none starts up after we gave up; the first failure is the one to tell.
  const [etcd, kafka, mysql] = await Promise.allSettled([
    wanted.etcd && given.etcdEndpoints.length === 0 ? start(new EtcdServer()) : undefined,
    wanted.kafka && given.kafkaBrokers.length === 0 ? start(new KafkaServer()) : undefined,
    wanted.mysql && given.mysqlUrl === "" ? start(new MariaDbServer()) : undefined,
  ]);
  const failures = [etcd, kafka, mysql].filter((result) => result.status === "rejected");
  if (failures.length > 0) {
    await stop();
    const reasons = failures.map(({ reason }) => (reason instanceof Error ? reason.message : String(reason)));
    throw new Error(reasons.join("\n"), { cause: failures[0]?.reason });
  }
  return {
    etcdEndpoints: etcd.status === "fulfilled" && etcd.value ? [etcd.value.endpoint] : given.etcdEndpoints,
    kafkaBrokers: kafka.status === "fulfilled" && kafka.value ? [kafka.value.broker] : given.kafkaBrokers,
    mysqlUrl: mysql.status === "fulfilled" && mysql.value ? mysql.value.url : given.mysqlUrl,
    stop,
  };
}

/** The environment that hands these servers, and the way to start others, to another process. */
export function backendEnvironment({ etcdEndpoints, kafkaBrokers, mysqlUrl }: Backends): Record<string, string> {
  const engine = process.env[engineVariable] ?? "";
  return {
    ...(engine !== "" ? { [engineVariable]: engine } : {}),
    ...(etcdEndpoints.length > 0 ? { [backendVariables.etcd]: etcdEndpoints.join(",") } : {}),
    ...(kafkaBrokers.length > 0 ? { [backendVariables.kafka]: kafkaBrokers.join(",") } : {}),
    ...(mysqlUrl !== "" ? { [backendVariables.mysql]: mysqlUrl } : {}),
  };
}

function givenBackends(): Omit<Backends, "stop"> {
  const list = (name: string): string[] => (process.env[name] ?? "").split(",").filter((item) => item !== "");
  return {
    etcdEndpoints: list(backendVariables.etcd),
    kafkaBrokers: list(backendVariables.kafka),
    mysqlUrl: process.env[backendVariables.mysql] ?? "",
  };
}

async function main(names: string[]): Promise<void> {
  const wants = (name: string): boolean => names.length === 0 || names.includes(name);
  const backends = await startBackends({ etcd: wants("etcd"), kafka: wants("kafka"), mysql: wants("mysql") });
  for (const [name, value] of Object.entries(backendEnvironment(backends))) console.log(`export ${name}=${value}`);
  // A signal listener alone does not keep a process alive, the servers' handles do.
  await Promise.race([once(process, "SIGINT"), once(process, "SIGTERM")]);
  await backends.stop();
}

if (import.meta.main) await main(process.argv.slice(2));
