/** Watches over two real schedulers, of which the one that serves is killed. */
import assert from "node:assert/strict";
import { after, before, type TestContext, test } from "node:test";
import { type Execution, ExecutionState } from "../../gen/jobmesh/v1/execution.ts";
import { ListExecutionsRequest, WatchExecutionsRequest } from "../../gen/jobmesh/v1/execution_service.ts";
import { connectMesh } from "../../services/client/index.ts";
import type { MeshClient } from "../../services/client/mesh-client.ts";
import { command } from "../../services/client/targets.ts";
import { JobmeshError } from "../../services/common/error/jobmesh-error.ts";
import { type Backends, startBackends } from "../support/backends.ts";
import { meshOn } from "../support/real-mesh.ts";

const { EXECUTION_STATE_SUCCEEDED: SUCCEEDED } = ExecutionState;
const WAIT_MS = 60_000;
const ROUNDS = 4;
const IN_A_ROUND = 50;
let servers: Backends;

before(async () => {
  servers = await startBackends({ etcd: true, mysql: true });
});
after(() => servers.stop());

async function setup(t: TestContext) {
  const { processes, mesh, backends } = await meshOn(t, servers);
  const [one, two] = await Promise.all([mesh.scheduler("scheduler-1"), mesh.scheduler("scheduler-2")]);
  await mesh.executor("executor-1", 20, { JOBMESH_SCHEDULER: two.address });
  const { etcdEndpoints, cluster } = backends;
  const connection = await connectMesh({ etcdEndpoints, cluster, timeoutMs: WAIT_MS });
  t.after(() => connection.close());
  const clientOf = (address: string) => processes.client(address, { timeoutMs: WAIT_MS });
  return { one, mesh: connection.client, clients: [clientOf(one.address), clientOf(two.address)] as const };
}

/** Submits work and waits for its end; answers the identifiers. */
async function work(client: MeshClient, count: number): Promise<string[]> {
  const all = await Promise.all(Array.from({ length: count }, () => client.submit({ target: command("true") })));
  const ends = all.map(({ executionId }) => client.waitUntilEnded(executionId, AbortSignal.timeout(WAIT_MS)));
  return (await Promise.all(ends)).map(({ executionId }) => executionId);
}

/** A watch at one scheduler from a token, until its signal aborts or it breaks. */
function follow(client: MeshClient, resumeToken: string, signal: AbortSignal) {
  const seen = { ids: new Set<string>(), token: resumeToken, error: null as JobmeshError | null };
  const note = (execution: Execution | undefined): void => {
    if (execution?.state === SUCCEEDED) seen.ids.add(execution.executionId);
  };
  const over = (async () => {
    const request = WatchExecutionsRequest.fromPartial({ resumeToken });
    try {
      for await (const change of client.executions.watchExecutions(request, { signal })) {
        note(change.execution);
        seen.token = change.resumeToken;
      }
    } catch (error) {
      seen.error = JobmeshError.from(error);
    }
  })();
  return { seen, over };
}

async function until(what: () => boolean, message: () => string): Promise<void> {
  const late = AbortSignal.timeout(WAIT_MS);
  while (!what()) {
    if (late.aborted) assert.fail(message());
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test("rule 34: a watch goes on elsewhere by its token when its scheduler is killed, and no final state is left out", async (t) => {
  const { one, mesh, clients } = await setup(t);
  const [first, second] = clients;
  const { resumeToken } = await first.executions.listExecutions(ListExecutionsRequest.fromPartial({ pageSize: 1 }));
  const caller = new AbortController();
  const { signal } = caller;
  const raw = follow(first, resumeToken, signal);
  // The client's own, over whichever schedulers there are.
  const byClient = new Set<string>();
  const clientOver = (async () => {
    for await (const { execution } of mesh.watch({ resumeToken }, signal)) {
      if (execution?.state === SUCCEEDED) byClient.add(execution.executionId);
    }
  })().catch((error: unknown) => {
    if (!signal.aborted) throw error;
  });
  const ids = await work(second, IN_A_ROUND);
  await until(
    () => raw.seen.ids.size === ids.length,
    () => `scheduler-1 told ${raw.seen.ids.size} of ${ids.length} that scheduler-2 ended`,
  );
  let killed: Promise<unknown> | null = null;
  for (let round = 0; round < ROUNDS; round += 1) {
    if (round === 1) killed = one.process.end("SIGKILL");
    ids.push(...(await work(second, IN_A_ROUND)));
  }
  await killed;
  await raw.over;
  assert.equal(raw.seen.error?.code, "UNAVAILABLE", String(raw.seen.error));
  const rest = follow(second, raw.seen.token, signal);
  const told = () => new Set([...raw.seen.ids, ...rest.seen.ids]);
  await until(
    () => told().size === ids.length,
    () => `${told().size} of ${ids.length} were told`,
  );
  await until(
    () => byClient.size === ids.length,
    () => `the client was told ${byClient.size} of ${ids.length}`,
  );
  caller.abort();
  await Promise.all([rest.over, clientOver]);
  console.log(`${ids.length} ended, ${raw.seen.ids.size} told before the kill, ${rest.seen.ids.size} after it`);
});

test("a watch of one execution on a scheduler that did not run it shows it to its end", async (t) => {
  const { clients } = await setup(t);
  const [first, second] = clients;
  const { executionId } = await second.submit({ target: command("sleep 1") });
  const states: ExecutionState[] = [];
  for await (const { execution } of first.watch({ executionId })) states.push(execution?.state ?? 0);
  assert.equal(states.at(-1), SUCCEEDED);
  assert.ok(states.length >= 2, "its present state came first");
});
