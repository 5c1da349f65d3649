import { setTimeout as sleep } from "node:timers/promises";
import { RenderRequest, ReportServiceService } from "../examples/report/gen/acme/report/v1/report_service.ts";
import { ExecutionState } from "../gen/jobmesh/v1/execution.ts";
import { SubmitExecutionRequest } from "../gen/jobmesh/v1/execution_service.ts";
import type { MeshClient } from "../services/client/mesh-client.ts";
import { handler } from "../services/client/targets.ts";
import type { BenchMesh } from "./mesh.ts";

/** What a run of many executions gave. */
export type Throughput = {
  readonly executions: number;
  /** From the first submission to the last stored result. */
  readonly seconds: number;
  readonly perSecond: number;
  /** Submitted and never run, or not SUCCEEDED in history. */
  readonly lost: number;
  /** Run more than once. */
  readonly doubled: number;
};

/** Submissions of the stream that are not answered yet. */
const WINDOW = 4_000;
/** Between two looks at how far the mesh is. */
const POLL_MS = 50;

/** Submits many no-op executions through one SubmitExecutions stream and waits until all are in history. */
export async function measureThroughput(mesh: BenchMesh, client: MeshClient, executions: number): Promise<Throughput> {
  await mesh.report();
  const before = await succeeded(client);
  const startMs = performance.now();
  const refused = await submitAll(client, executions);
  // Its own count is cheap to ask; the store is asked only when the handlers have run all.
  while ((await mesh.count()) < executions - refused) await sleep(POLL_MS);
  let stored = (await succeeded(client)) - before;
  while (stored < executions - refused) {
    await sleep(POLL_MS);
    stored = (await succeeded(client)) - before;
  }
  const seconds = (performance.now() - startMs) / 1000;
  const { starts, doubled } = await mesh.report();
  return {
    executions,
    seconds,
    perSecond: Math.round(executions / seconds),
    lost: executions - Math.min(starts.length, stored),
    doubled,
  };
}

async function succeeded(client: MeshClient): Promise<number> {
  const { counts } = await client.executions.countExecutions({ filter: undefined }, { timeoutMs: 60_000 });
  return Number(counts.find(({ state }) => state === ExecutionState.EXECUTION_STATE_SUCCEEDED)?.count ?? 0n);
}

/** Resolves when all are answered; answers how many were refused. */
function submitAll(client: MeshClient, executions: number): Promise<number> {
  const target = handler(ReportServiceService.render, RenderRequest.fromPartial({}));
  const submission = SubmitExecutionRequest.fromPartial({ target });
  const stream = client.executions.submitExecutions();
  return new Promise((resolve, reject) => {
    let sent = 0;
    let answered = 0;
    let refused = 0;
    const fill = (): void => {
      while (sent < executions && sent - answered < WINDOW) {
        sent += 1;
        stream.send({ sequence: BigInt(sent), kind: { $case: "submission", value: submission } });
      }
    };
    stream.onMessage(({ error }) => {
      answered += 1;
      if (error !== undefined) refused += 1;
      if (answered === executions) {
        stream.end();
        resolve(refused);
      } else if (answered % 100 === 0) {
        fill();
      }
    });
    stream.onClosed((error) => {
      if (error !== null) reject(error);
    });
    fill();
  });
}
