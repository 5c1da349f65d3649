import { once } from "node:events";
import { existsSync } from "node:fs";
import { cp, mkdir, mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import {
  cacheFolder,
  type DebianProgram,
  ensureProgram,
  NotInstallable,
  runQuietly,
  withLock,
} from "./installation.ts";
import type { ContainerRun } from "./server-container.ts";
import { TestServer, type TestServerRecipe } from "./test-server.ts";

/** The version of Kafka that the tests run. */
export const kafkaVersion = "4.1.0";

const otherwise = "or set JOBMESH_TEST_KAFKA to brokers";
const java: DebianProgram = { program: "java", packages: ["default-jre-headless"], otherwise };
const maven: DebianProgram = { program: "mvn", packages: ["maven", "default-jre-headless"], otherwise };
const installed = join(cacheFolder, `kafka-${kafkaVersion}`);

/** Any 16 bytes; each server is a cluster of its own. */
const clusterId = "am9ibWVzaC10ZXN0cy0wMQ";

/** How to run Kafka, either way. */
export const kafkaRecipe: TestServerRecipe = { name: "kafka", portCount: 2, prepare, command, container, isReady };

/** One real Kafka broker for tests (KRaft, one node as broker and controller; Java 17 or newer, or a container). */
export class KafkaServer extends TestServer {
  constructor() {
    super(kafkaRecipe);
  }

  /** The broker's address, such as "127.0.0.1:9092". */
  get broker(): string {
    return `127.0.0.1:${this.ports[0]}`;
  }
}

async function prepare(folder: string): Promise<void> {
  await ensureProgram(java);
  await withLock("kafka", install);
  await cp(join(installed, "formatted"), join(folder, "data"), { recursive: true });
}

/**
 * Fetches the broker's jars from Maven, and formats one empty data folder that every server starts from a copy of,
 * which saves a JVM start each. Done beside its final place, so that a half-done install is never taken for one.
 */
async function install(): Promise<void> {
  if (existsSync(installed)) return;
  console.log(`jobmesh: fetching Kafka ${kafkaVersion} by Maven into ${installed} (about 20 s, once)`);
  await mkdir(cacheFolder, { recursive: true });
  const mvn = await ensureProgram(maven);
  const work = await mkdtemp(join(cacheFolder, "kafka-new-"));
  try {
    await writeFile(join(work, "pom.xml"), pom());
    const goal = "org.apache.maven.plugins:maven-dependency-plugin:copy-dependencies";
    await runQuietly(mvn, [
      "-q",
      "-B",
      "-f",
      join(work, "pom.xml"),
      goal,
      "-DincludeScope=runtime",
      `-DoutputDirectory=${join(work, "libs")}`,
    ]);
    const properties = join(work, "format.properties");
    await writeFile(properties, serverProperties(join(work, "formatted"), [9092, 9093]));
    const classPath = ["-cp", join(work, "libs", "*")];
    await runQuietly(await ensureProgram(java), [
      ...classPath,
      "kafka.tools.StorageTool",
      "format",
      "-t",
      clusterId,
      "-c",
      properties,
    ]);
    await rename(work, installed);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new NotInstallable(`Kafka ${kafkaVersion} could not be fetched by Maven (${otherwise}): ${why}`);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function command(folder: string, ports: readonly number[]): Promise<{ program: string; args: string[] }> {
  const properties = join(folder, "server.properties");
  await writeFile(properties, serverProperties(join(folder, "data"), ports));
  const jars = (await readdir(join(installed, "libs"))).map((jar) => join(installed, "libs", jar)).join(":");
  const args = ["-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-cp", jars, "kafka.Kafka", properties];
  return { program: await ensureProgram(java), args };
}

/** The image takes each setting as a variable, KAFKA_NODE_ID for node.id; its own settings are then left out. */
function container(ports: readonly number[]): ContainerRun {
  const settings = serverProperties("/tmp/kraft-combined-logs", ports, "0.0.0.0").split("\n");
  const variables = settings
    .filter((line) => line !== "")
    .map((line): [string, string] => {
      const [key, ...value] = line.split("=");
      return [`KAFKA_${key?.toUpperCase().replaceAll(".", "_")}`, value.join("=")];
    });
  const heap: [string, string] = ["KAFKA_HEAP_OPTS", "-Xms256m -Xmx512m"];
  const environment = Object.fromEntries([["CLUSTER_ID", clusterId], heap, ...variables]);
  return { image: `apache/kafka:${kafkaVersion}`, environment, args: [] };
}

/** Asks for the metadata of no topic: a broker that names itself has joined its controller and serves. */
async function isReady(ports: readonly number[]): Promise<boolean> {
  const request = Buffer.alloc(18);
  request.writeInt32BE(14, 0); // what follows
  request.writeInt16BE(3, 4); // Metadata
  request.writeInt16BE(1, 6); // in version 1, with correlation id 0
  request.writeInt16BE(-1, 12); // no client id; then an empty list of topics
  const socket = connect(ports[0] ?? 0, "127.0.0.1");
  try {
    socket.write(request);
    const signal = AbortSignal.timeout(2_000);
    const [answer] = (await once(socket, "data", { signal })) as [Buffer];
    return answer.readInt32BE(8) === 1; // brokers, after length and correlation id
  } finally {
    socket.destroy();
  }
}

function serverProperties(data: string, ports: readonly number[], host = "127.0.0.1"): string {
  const [broker, controller] = ports.map((port) => `127.0.0.1:${port}`);
  return [
    "process.roles=broker,controller",
    "node.id=1",
    `controller.quorum.voters=1@${controller}`,
    `listeners=PLAINTEXT://${host}:${ports[0]},CONTROLLER://${controller}`,
    `advertised.listeners=PLAINTEXT://${broker}`,
    "controller.listener.names=CONTROLLER",
    `log.dirs=${data}`,
    "offsets.topic.replication.factor=1",
    "transaction.state.log.replication.factor=1",
    "transaction.state.log.min.isr=1",
    "group.initial.rebalance.delay.ms=0",
    "auto.create.topics.enable=false",
    // After a SIGKILL the controller waits this long for the old broker (9 s by default) before it lets the new one in.
    "broker.session.timeout.ms=3000",
    "broker.heartbeat.interval.ms=1000",
    // Small in number and size: what a test makes is thrown away, and 50 partitions delay the first group.
    "offsets.topic.num.partitions=4",
    "transaction.state.log.num.partitions=4",
    "log.index.size.max.bytes=1048576",
    "",
  ].join("\n");
}

function pom(): string {
  const dependency = `<groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>${kafkaVersion}</version>`;
  return `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>jobmesh</groupId><artifactId>kafka</artifactId><version>1</version>
<dependencies><dependency>${dependency}</dependency></dependencies></project>
`;
}
