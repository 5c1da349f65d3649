import type { ExecutorProfile } from "../../services/common/domain/executor.ts";
import type { ExecutorId, Incarnation } from "../../services/common/domain/identifier.ts";

/** An executor of commands with 4 slots, by its session alone; `changes` say what is different. */
export function testProfile(executorId: string, changes: Partial<ExecutorProfile> = {}): ExecutorProfile {
  return {
    executorId: executorId as ExecutorId,
    incarnation: `${executorId}-1` as Incarnation,
    version: "0.0.0",
    slots: 4,
    labels: {},
    capabilities: [{ kind: "command" }],
    namespaces: [],
    lane: null,
    registered: false,
    ...changes,
  };
}
