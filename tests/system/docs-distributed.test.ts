/** The commands of the pages that are about a mesh on real backends run on real MariaDB, Kafka and etcd. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createConnection, type RowDataPacket } from "mysql2/promise";
import { freePorts } from "../../scripts/backend/free-ports.ts";
import { ensureGrpcurl, ensureOpenssl } from "../../scripts/tools.ts";
import { createDatabase, startBackends, testCluster } from "../support/backends.ts";
import { blocksOf, docPages } from "../support/doc-blocks.ts";
import { distributedCommands } from "../support/doc-runs.ts";
import { DocShell } from "../support/doc-shell.ts";
import { MeshProcesses } from "../support/mesh-process.ts";
import { makeOriginal } from "../support/original-tables.ts";

/** Ports that the pages name. */
const PORTS = ["7070", "7071", "7072", "7073", "7074", "7075"];
/** After the commands of this page something has run, and the statements of all pages find it. */
const QUERIED = "docs/deploy.md";
/** The page that is about a database of the original's. */
const ADOPTED = "docs/original.md";
assert.ok([QUERIED, ADOPTED].every((page) => docPages().includes(page)));

for (const page of docPages()) {
  const commands = distributedCommands(page);
  if (commands.length === 0) continue;
  test(`${page}: its ${commands.length} commands run on real backends`, async (t) => {
    const processes = new MeshProcesses(t);
    const backends = await startBackends({ etcd: true, kafka: true, mysql: true });
    const database = await createDatabase(backends.mysqlUrl);
    t.after(() => database.drop());
    t.after(() => backends.stop());
    if (page === ADOPTED) await makeOriginal(database.url);
    await ensureOpenssl();
    const free = await freePorts(PORTS.length);
    const shell = new DocShell(processes, {
      grpcurl: await ensureGrpcurl(),
      replaced: {
        "mysql://user:password@db:3306/jobmesh": database.url,
        "kafka:9092": backends.kafkaBrokers.join(","),
        "http://etcd:2379": backends.etcdEndpoints.join(","),
        ...Object.fromEntries(
          PORTS.flatMap((port, index) => [
            [`127.0.0.1:${port}`, `127.0.0.1:${free[index]}`],
            [`0.0.0.0:${port}`, `0.0.0.0:${free[index]}`],
            [`10.0.0.3:${port}`, `127.0.0.1:${free[index]}`],
          ]),
        ),
      },
      env: { JOBMESH_CLUSTER: testCluster() },
      listen: { grpc: `127.0.0.1:${free[0]}`, http: `127.0.0.1:${free[1]}` },
    });
    for (const command of commands) await shell.run(command);
    if (page === QUERIED) await queries(database.url);
  });
}

/** The statements of all pages, on a store in which something has run. */
async function queries(url: string): Promise<void> {
  const connection = await createConnection(url);
  try {
    for (const block of docPages().flatMap(blocksOf)) {
      if (block.language !== "sql") continue;
      const [rows] = await connection.query<RowDataPacket[]>(block.text);
      assert.ok(rows.length > 0, `${block.page}:${block.line} finds nothing:\n${block.text}`);
    }
  } finally {
    await connection.end();
  }
}
