import assert from "node:assert/strict";
import { test } from "node:test";
import {
  ExecutionServiceService,
  ReadLogsRequest,
  type ReadLogsResponse,
} from "../../../gen/jobmesh/v1/execution_service.ts";
import type { CallContext, SendStream, ServerStreamHandler } from "../../../services/common/rpc/contract.ts";
import { type MeshRig, meshRig, type TestScheduler } from "./setup.ts";

/** What the contract promises of output that another scheduler reads. */
const BOUND_MS = 300;
const STEP_MS = 5;
const LINES = 40;

/** ReadLogs by a scheduler's own handlers. */
function readLogs({ scheduler }: TestScheduler, executionId: string) {
  const served = scheduler.services().find(({ definition }) => definition === ExecutionServiceService);
  const handlers = served?.handlers as { readLogs: ServerStreamHandler<ReadLogsRequest, ReadLogsResponse> };
  const pieces: ReadLogsResponse[] = [];
  const caller = new AbortController();
  const stream = { send: (piece: ReadLogsResponse) => pieces.push(piece) > 0 } as SendStream<ReadLogsResponse>;
  const context = { signal: caller.signal, stopping: new AbortController().signal } as CallContext;
  const request = ReadLogsRequest.fromPartial({ executionId, untilEnded: true });
  const over = Promise.resolve(handlers.readLogs(request, stream, context));
  return { pieces, over, leave: () => caller.abort() };
}

/** Mesh time until as many pieces came as are wanted. */
async function arrived(mesh: MeshRig, pieces: readonly unknown[], count: number): Promise<number> {
  for (let ms = 0; ; ms += STEP_MS) {
    for (let turn = 0; turn < 3; turn += 1) await mesh.clock.settle();
    if (pieces.length >= count) return ms;
    assert.ok(ms <= BOUND_MS, `a line was not readable ${BOUND_MS} ms after it was written`);
    await mesh.clock.advance(STEP_MS);
  }
}

test("rule 35: a line is readable on another scheduler within 300 ms though every hint between the two is lost", async (t) => {
  const mesh = await meshRig(t);
  await mesh.scheduler("s-1");
  const executor = await mesh.executor("one");
  const other = await mesh.scheduler("s-2");
  const [executionId = ""] = await mesh.submit(1);
  await mesh.pass(500);
  const [run] = executor.started;
  assert.ok(run !== undefined);
  const log = readLogs(other, executionId);
  const took: number[] = [];
  for (let line = 1; line <= LINES; line += 1) {
    // Written at ever another moment between two looks of the reader.
    await mesh.clock.advance((line * 37) % 250);
    run.context.log.info(`line ${line}`);
    took.push(await arrived(mesh, log.pieces, line));
  }
  took.sort((a, b) => a - b);
  t.diagnostic(`without hints, in mesh time: ${took[0]} to ${took.at(-1)} ms, median ${took[LINES / 2]} ms`);
  run.end.resolve(new Uint8Array());
  await mesh.pass(1_500);
  await log.over;
  assert.deepEqual(
    log.pieces.map(({ content }) => content?.value),
    Array.from({ length: LINES }, (_, index) => `line ${index + 1}`),
  );
});
