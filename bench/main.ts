/**
 * npm run bench [-- --embedded] [-- --tiny]: measures throughput, start
 * latency and schedule lateness with counts of lost and doubled work, prints
 * them, and writes bench/results.json and the README's table.
 */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { MeshClient } from "../services/client/mesh-client.ts";
import { createDatabase, startBackends } from "../tests/support/backends.ts";
import { measureStart } from "./latency.ts";
import { measureEachSecond, measureSameSecond } from "./lateness.ts";
import { type BenchMesh, startDistributed, startEmbedded } from "./mesh.ts";
import type { BenchResults, MeshResults } from "./results.ts";
import { renderTable, writeReadmeTable } from "./table.ts";
import { measureThroughput, type Throughput } from "./throughput.ts";

/** How much is measured. */
type Size = {
  readonly warmUp: number;
  readonly executions: number;
  readonly rounds: number;
  readonly starts: number;
  readonly seconds: number;
  readonly jobs: number;
};

const FULL: Size = { warmUp: 10_000, executions: 60_000, rounds: 3, starts: 400, seconds: 20, jobs: 100 };
/** Enough to see that everything still runs. */
const TINY: Size = { warmUp: 200, executions: 1_000, rounds: 1, starts: 20, seconds: 2, jobs: 10 };

async function measure(mesh: BenchMesh, size: Size): Promise<MeshResults> {
  const client = new MeshClient({ target: mesh.address, timeoutMs: 30_000 });
  try {
    await measureThroughput(mesh, client, size.warmUp);
    const throughput: Throughput[] = [];
    for (let round = 0; round < size.rounds; round += 1) {
      throughput.push(await measureThroughput(mesh, client, size.executions));
    }
    const start = await measureStart(mesh, client, size.starts);
    const eachSecond = await measureEachSecond(mesh, client, size.seconds);
    const sameSecond = await measureSameSecond(mesh, client, size.jobs);
    return { mesh: mesh.name, throughput, start, eachSecond, sameSecond };
  } finally {
    client.close();
    await mesh.stop();
  }
}

async function measureDistributed(size: Size): Promise<MeshResults> {
  const backends = await startBackends({ etcd: true, kafka: true, mysql: true });
  try {
    const database = await createDatabase(backends.mysqlUrl);
    try {
      return await measure(await startDistributed({ ...backends, mysqlUrl: database.url }), size);
    } finally {
      await database.drop();
    }
  } finally {
    await backends.stop();
  }
}

const { values } = parseArgs({
  options: { embedded: { type: "boolean" }, tiny: { type: "boolean" }, distributed: { type: "boolean" } },
});
const size = values.tiny ? TINY : FULL;
const meshes: MeshResults[] = [];
if (!values.distributed) meshes.push(await measure(await startEmbedded(), size));
if (!values.embedded) meshes.push(await measureDistributed(size));
const results: BenchResults = {
  commit: execFileSync("git", ["rev-parse", "--short=10", "HEAD"], { encoding: "utf8" }).trim(),
  machine: `${cpus().length} × ${cpus()[0]?.model ?? "unknown"}`,
  node: process.version,
  time: new Date().toISOString(),
  meshes,
};
process.stdout.write(`${renderTable(results)}\n`);
const wrong = meshes.flatMap(({ throughput, eachSecond, sameSecond }) => [...throughput, eachSecond, sameSecond]);
if (wrong.some(({ lost, doubled }) => lost > 0 || doubled > 0)) {
  process.stderr.write("work was lost or doubled\n");
  process.exitCode = 1;
}
if (!values.tiny && !values.embedded && !values.distributed) {
  writeFileSync(new URL("results.json", import.meta.url), `${JSON.stringify(results, null, 2)}\n`);
  writeReadmeTable(results);
}
