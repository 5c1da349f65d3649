import type { NewExecution } from "../../services/common/domain/execution.ts";
import { randomExecutionId } from "../../services/common/domain/execution-id.ts";
import { defaultPolicy } from "../../services/common/domain/policy.ts";
import { routeIdOf, routeOf, routeText } from "../../services/common/domain/route.ts";
import { SystemRandom } from "../../services/common/runtime/system-random.ts";

const random = new SystemRandom();

/** What a submission of a command without a job makes, ready at `nowUs`; `changes` say what is different. */
export function testExecution(nowUs: number, changes: Partial<NewExecution> = {}): NewExecution {
  const scheduledMs = Math.floor(nowUs / 1_000);
  const draft = {
    executionId: randomExecutionId(scheduledMs, random.bytes(10)),
    namespace: "default",
    jobId: null,
    jobUid: null,
    jobRevision: 0,
    name: "",
    cause: "SUBMIT",
    target: { kind: "command", method: "", summary: "true", bytes: Buffer.from("true") },
    policy: defaultPolicy,
    labels: {},
    scheduledUs: scheduledMs * 1_000,
    readyUs: nowUs,
    gateKeys: [],
    overlap: "ALLOW",
    mergedCount: 0,
    mergedUntilUs: null,
    traceparent: "",
    tracestate: "",
    ...changes,
  } satisfies Partial<NewExecution>;
  return { ...draft, routeId: routeIdOf(routeText(routeOf(draft))), ...changes };
}
