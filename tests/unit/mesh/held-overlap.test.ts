/** Rules 7 and 11 in a whole mesh: a run that comes just before a fire's time goes first, whatever its overlap policy. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Execution } from "../../../gen/jobmesh/v1/execution.ts";
import { OverlapPolicy } from "../../../gen/jobmesh/v1/job.ts";
import { RunJobRequest } from "../../../gen/jobmesh/v1/job_service.ts";
import type { ExecutionId } from "../../../services/common/domain/identifier.ts";
import { addTicker, call, fireOf, ticker, untilBefore } from "./held.ts";
import { meshRig } from "./setup.ts";

const skips = { ...ticker().schedule, overlapPolicy: OverlapPolicy.OVERLAP_POLICY_SKIP };

for (const policy of ["SKIP", "QUEUE_ALL", "CANCEL_RUNNING", "ALLOW"] as const) {
  for (const bus of [false, true]) {
    const way = bus ? "bus" : "session";
    test(`a run under ${policy} before a held fire's time runs first; the fire meets it at its time, by ${way}`, async (t) => {
      const mesh = await meshRig(t, { bus });
      const scheduler = await mesh.scheduler("s-1");
      const one = await mesh.executor("one", { slots: 4 });
      const id = fireOf(await addTicker(scheduler, { schedule: skips }));
      await untilBefore(mesh, 280);
      assert.equal((await mesh.get(id)).state, "DISPATCHED", "it is held");
      const request = RunJobRequest.fromPartial({
        jobId: "ticker",
        overlapPolicy: OverlapPolicy[`OVERLAP_POLICY_${policy}`],
      });
      const answering = call(scheduler, "runJob", request);
      await mesh.pass(20);
      const run = ((await answering).execution as Execution).executionId as ExecutionId;
      // Its executor is asked at once, and not by the next sweep.
      await mesh.pass(50);
      const back = await mesh.get(id);
      assert.deepEqual([back.state, back.stateReason], ["SCHEDULED", "SUPERSEDED"]);
      await untilBefore(mesh, -400);
      assert.deepEqual(
        one.started.map(({ context }) => context.executionId),
        [run],
      );
      const { state, stateReason } = await mesh.get(id);
      assert.deepEqual([state, stateReason], ["SKIPPED", "OVERLAP"]);
      one.started[0]?.end.resolve(Buffer.from("done"));
      await mesh.pass(500);
      assert.equal((await mesh.get(run)).state, "SUCCEEDED");
    });
  }
}
