import assert from "node:assert/strict";
import { test } from "node:test";
import { ExecutionEvent } from "../../../gen/jobmesh/v1/event.ts";
import { ExecutionState } from "../../../gen/jobmesh/v1/execution.ts";
import { Target } from "../../../gen/jobmesh/v1/job.ts";
import { command } from "../../../services/client/targets.ts";
import { encodeExecutionChange } from "../../../services/common/wire/execution-event.ts";
import { targetOfBytes } from "../../../services/common/wire/target-head.ts";
import { usOfTimestamp } from "../../../services/common/wire/time.ts";
import { sampleExecution } from "./samples.ts";

const NOW_US = 1_767_225_600_123_456;

test("an event is the execution after its change as BASIC shows it, and when it changed", () => {
  const target = targetOfBytes(Target.encode(command("echo", { args: ["x"], stdin: "not for everyone" })).finish());
  const execution = sampleExecution({
    ...{ target, state: "FAILED", stateReason: "TARGET_FAILED", endedUs: NOW_US, changeNumber: 7 },
    labels: { team: "blue" },
    result: new Uint8Array([1, 2]),
    failure: { code: 2, message: "it failed", reason: "exit:2" },
  });
  const bytes = encodeExecutionChange({ execution, timeUs: NOW_US });
  const { execution: shown, time } = ExecutionEvent.decode(bytes);
  assert.equal(shown?.executionId, execution.executionId);
  assert.equal(shown.state, ExecutionState.EXECUTION_STATE_FAILED);
  assert.deepEqual([shown.changeNumber, shown.labels, shown.error?.message], [7n, { team: "blue" }, "it failed"]);
  assert.equal(usOfTimestamp(time ?? assert.fail()), NOW_US);
  assert.equal(shown.result.length, 0);
  assert.ok(!Buffer.from(bytes).includes("not for everyone"), "no payload travels");
});
