import assert from "node:assert/strict";
import { test } from "node:test";
import type { ExecutionId } from "../../../services/common/domain/identifier.ts";
import { attemptFacts } from "../../../services/common/telemetry/attempt-facts.ts";

test("a line that speaks of an attempt names it, and nothing of what it was given", () => {
  const order = {
    key: { executionId: "e" as ExecutionId, attempt: 2, fence: 1n },
    executorId: "x",
    jobId: "j",
    traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    target: { summary: "curl --header 'authorization: secret'" },
  };
  const traceId = "0af7651916cd43dd8448eb211c80319c";
  assert.deepEqual(attemptFacts(order), { executionId: "e", attempt: 2, executorId: "x", jobId: "j", traceId });
});
