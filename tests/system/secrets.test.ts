/** Secrets by reference: targets run with the values, and nothing that the mesh keeps, sends or tells holds one. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { globSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { Kafka, logLevel } from "kafkajs";
import { createConnection, type RowDataPacket } from "mysql2/promise";
import { ReportServiceService } from "../../examples/report/gen/acme/report/v1/report_service.ts";
import { type Execution, ExecutionState } from "../../gen/jobmesh/v1/execution.ts";
import { type DeepPartial, Target } from "../../gen/jobmesh/v1/job.ts";
import type { MeshClient } from "../../services/client/index.ts";
import { grpc } from "../../services/client/targets.ts";
import { createDatabase, startBackends, testCluster } from "../support/backends.ts";
import { MeshProcesses } from "../support/mesh-process.ts";
import { startOtlpReceiver } from "../support/otlp-receiver.ts";
import { selfSigned } from "../support/self-signed.ts";
import { startServer } from "../unit/executor-grpc/setup.ts";
import { targetServer } from "../unit/executor-http/setup.ts";

/** A reference to a secret, in two parts so that no linter takes it for a template literal. */
function secret(name: string): string {
  return ["$", `{secret:${name}}`].join("");
}

/** Two secrets, one for each place that they are read from, and a folder of them. */
function secretsOf(processes: MeshProcesses) {
  const file = `swordfish-${randomBytes(8).toString("hex")}`;
  const variable = `marlin-${randomBytes(8).toString("hex")}`;
  const certificate = selfSigned("billing.test");
  const client = selfSigned("client.test");
  const folder = join(processes.folder(), "secrets");
  mkdirSync(folder);
  writeFileSync(join(folder, "db-password"), `${file}\n`);
  writeFileSync(join(folder, "ca"), certificate.cert);
  writeFileSync(join(folder, "client"), client.cert + client.key);
  const env = { JOBMESH_SECRETS_DIR: folder, JOBMESH_SECRET_API_TOKEN: variable, JOBMESH_LOG_LEVEL: "debug" };
  const key = client.key.split("\n")[1] ?? "";
  assert.ok(key.length > 40, "a line of the key in PEM");
  return { env, file, variable, certificate, values: [file, variable, key] };
}

type Secrets = ReturnType<typeof secretsOf>;

async function ended(client: MeshClient, target: DeepPartial<Target>): Promise<Execution> {
  const { executionId } = await client.submit({ target: Target.fromPartial(target) });
  return client.waitUntilEnded(executionId);
}

/** Runs all kinds of targets that may hold secrets, and looks at what they got; then one that names an unknown secret. */
async function runAll(t: TestContext, client: MeshClient, { file, variable, certificate }: Secrets): Promise<void> {
  const [db, token] = [secret("db-password"), secret("api.token")];
  const hash = "printf %s \"$DB:$TOKEN\" | cksum | cut -d ' ' -f 1";
  const env = { DB: db, TOKEN: `Bearer ${token}`, WANTED: cksumOf(`${file}:Bearer ${variable}`) };
  const command = await ended(client, {
    kind: { $case: "command", value: { command: `test "$(${hash})" = "$WANTED"`, env } },
  });
  assert.equal(command.state, ExecutionState.EXECUTION_STATE_SUCCEEDED, "the command has its secrets");

  const web = await targetServer(t, (_got, response) => response.end("thanks"));
  const http = await ended(client, {
    kind: {
      $case: "http",
      value: { url: `${web.url}?attempt={{attempt}}`, headers: { Authorization: `Bearer ${token}` } },
    },
  });
  assert.equal(http.state, ExecutionState.EXECUTION_STATE_SUCCEEDED);
  assert.equal(web.got[0]?.headers.authorization, `Bearer ${variable}`);

  const server = await startServer(t, { tls: certificate });
  const call = grpc(server.address, ReportServiceService.render, { title: "", rows: [] }, { metadata: { db } });
  assert.ok(call.kind?.$case === "grpc");
  const tls = { caSecret: "ca", clientSecret: "client", serverName: "billing.test" };
  const rpc = await ended(client, { kind: { $case: "grpc", value: { ...call.kind.value, tls } } });
  assert.equal(rpc.state, ExecutionState.EXECUTION_STATE_SUCCEEDED, JSON.stringify(rpc.error));
  assert.equal(server.calls[0]?.metadata.getMap().db, file);

  const unknown = await ended(client, {
    kind: { $case: "http", value: { url: web.url, headers: { "X-Db": db, "X-Key": secret("no-such") } } },
  });
  assert.equal(unknown.state, ExecutionState.EXECUTION_STATE_FAILED);
  assert.match(unknown.error?.message ?? "", /target\.http\.headers\["X-Key"\]: the secret no-such is unknown/);
  assert.equal(web.got.length, 1, "nothing was sent");
}

/** As POSIX cksum has it. */
function cksumOf(text: string): string {
  const length: number[] = [];
  for (let left = Buffer.byteLength(text); left > 0; left = Math.floor(left / 256)) length.push(left % 256);
  let crc = 0;
  for (const byte of [...Buffer.from(text), ...length]) {
    crc ^= byte << 24;
    for (let bit = 0; bit < 8; bit++) crc = crc < 0 ? (crc << 1) ^ 0x04c11db7 : crc << 1;
  }
  return String(~crc >>> 0);
}

/** Looks for secrets in a place, where the references to them are found: the search works. */
function assertClean(place: string, bytes: Buffer, { values }: Secrets, isReferred = true): void {
  for (const value of values) assert.ok(!bytes.includes(value), `${place} holds a secret`);
  if (isReferred) assert.ok(bytes.includes("secret:db-password"), `${place} holds the references`);
}

test("on SQLite and by sessions no secret is stored, logged or traced", { timeout: 120_000 }, async (t) => {
  const processes = new MeshProcesses(t);
  const receiver = await startOtlpReceiver();
  t.after(() => receiver[Symbol.asyncDispose]());
  const secrets = secretsOf(processes);
  const dataDir = processes.folder();
  const mesh = await processes.dev({ dataDir, env: { ...secrets.env, ...receiver.env } });
  await runAll(t, processes.client(mesh.address), secrets);
  await mesh.end("SIGTERM");
  assert.ok(receiver.spans.some(({ name }) => name === "jobmesh.run"));
  assertClean("a span", Buffer.from(JSON.stringify(receiver.spans)), secrets, false);
  assertClean("the log", Buffer.from(mesh.stdout + mesh.stderr), secrets, false);
  const files = globSync("**/*", { cwd: dataDir, withFileTypes: true }).filter((entry) => entry.isFile());
  const all = Buffer.concat(files.map((entry) => readFileSync(join(entry.parentPath, entry.name))));
  assertClean("the data folder", all, secrets);
});

test("on MariaDB and by Kafka no secret is stored, sent, logged or traced", { timeout: 180_000 }, async (t) => {
  const backends = await startBackends({ etcd: true, kafka: true, mysql: true });
  const database = await createDatabase(backends.mysqlUrl);
  const receiver = await startOtlpReceiver();
  const processes = new MeshProcesses(t);
  // Hooks run in the order in which they were added: what the processes use goes after them.
  t.after(async () => {
    await receiver[Symbol.asyncDispose]();
    await database.drop();
    await backends.stop();
  });
  const secrets = secretsOf(processes);
  const cluster = testCluster();
  const shared = {
    JOBMESH_KAFKA_BROKERS: backends.kafkaBrokers.join(","),
    JOBMESH_ETCD_ENDPOINTS: backends.etcdEndpoints.join(","),
    JOBMESH_CLUSTER: cluster,
    ...receiver.env,
  };
  const listen = ["--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"];
  const scheduler = processes.start(["scheduler", ...listen], { env: { ...shared, JOBMESH_STORE: database.url } });
  const [, address = ""] = await scheduler.printed(/"address":"([^"]+)".*"the scheduler serves"/, {
    stream: "stderr",
    waitMs: 40_000,
  });
  const executor = processes.start(["executor", "--allow-commands"], { env: { ...shared, ...secrets.env } });
  await executor.printed(/"a home took the executor"/, { stream: "stderr", waitMs: 40_000 });
  await runAll(t, processes.client(address, { timeoutMs: 30_000 }), secrets);
  await executor.end("SIGTERM");
  await scheduler.end("SIGTERM");
  assertClean("a span", Buffer.from(JSON.stringify(receiver.spans)), secrets, false);
  for (const process of [scheduler, executor]) {
    assertClean("a log", Buffer.from(process.stdout + process.stderr), secrets, false);
  }
  assertClean("a table", await tablesOf(database.url), secrets);
  assertClean("a topic", await topicsOf(backends.kafkaBrokers, cluster), secrets);
});

/** Every row of every table. */
async function tablesOf(url: string): Promise<Buffer> {
  const connection = await createConnection(url);
  try {
    const [tables] = await connection.query<RowDataPacket[]>("SHOW TABLES");
    const all: Buffer[] = [];
    for (const name of tables.flatMap((row): unknown[] => Object.values(row))) {
      const [rows] = await connection.query<RowDataPacket[]>(`SELECT * FROM \`${String(name)}\``);
      for (const value of rows.flatMap((row): unknown[] => Object.values(row))) {
        all.push(Buffer.isBuffer(value) ? value : Buffer.from(String(value)));
      }
    }
    return Buffer.concat(all);
  } finally {
    await connection.end();
  }
}

/** Every record of every topic of the mesh: values, keys and headers. */
async function topicsOf(brokers: readonly string[], cluster: string): Promise<Buffer> {
  const kafka = new Kafka({ brokers: [...brokers], logLevel: logLevel.NOTHING });
  const admin = kafka.admin();
  const consumer = kafka.consumer({ groupId: `${cluster}-search` });
  await Promise.all([admin.connect(), consumer.connect()]);
  try {
    const topics = (await admin.listTopics()).filter((name) => name.startsWith(cluster));
    let left = 0;
    for (const topic of topics) {
      for (const { low, high } of await admin.fetchTopicOffsets(topic)) left += Number(high) - Number(low);
    }
    assert.ok(left >= 8, `orders and results of four executions, not ${left}`);
    const all: Buffer[] = [];
    const done = Promise.withResolvers<void>();
    await consumer.subscribe({ topics, fromBeginning: true });
    await consumer.run({
      eachMessage: async ({ message }) => {
        all.push(message.key ?? Buffer.alloc(0), message.value ?? Buffer.alloc(0));
        all.push(Buffer.from(JSON.stringify(message.headers ?? {})));
        if (--left === 0) done.resolve();
      },
    });
    await done.promise;
    return Buffer.concat(all);
  } finally {
    await Promise.all([admin.disconnect(), consumer.disconnect()]);
  }
}
