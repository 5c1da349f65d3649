import type { AttemptOutput } from "../../../gen/jobmesh/v1/executor_service.ts";
import type { PeerHint } from "../../../gen/jobmesh/v1/peer_service.ts";
import type { OutputPiece } from "../../common/domain/attempt.ts";
import {
  type ExecutionId,
  type ExecutorId,
  IDENTIFIER_PATTERN,
  type JobUid,
  type RouteId,
} from "../../common/domain/identifier.ts";
import { claimRank } from "../../common/domain/policy.ts";
import { type Route, routeIdOf, routeText } from "../../common/domain/route.ts";
import { JobmeshError } from "../../common/error/jobmesh-error.ts";
import { outputFromMessage, outputToMessage } from "../../common/wire/output.ts";
import type { Hint } from "../hints.ts";

/** A hint for peers; null for one that concerns this process alone, or whose route is not known here. */
export function hintToMessage(hint: Hint, routeOfId: (routeId: RouteId) => Route | undefined): PeerHint | null {
  switch (hint.kind) {
    case "ready": {
      const route = routeOfId(hint.routeId);
      if (route === undefined) return null;
      const value = { route: routeText(route), maxPriority: claimRank(hint.bestRank), count: hint.count };
      return { kind: { $case: "ready", value } };
    }
    case "free":
      return { kind: { $case: "free", value: { route: "", slots: 0 } } };
    case "stop":
      return { kind: { $case: "stopExecutionId", value: hint.executionId } };
    case "drain":
      return { kind: { $case: "drainExecutorId", value: hint.executorId } };
    case "ended":
      return { kind: { $case: "endedExecutionId", value: hint.executionId } };
    case "changed":
      return { kind: { $case: "changedJobUid", value: hint.jobUid } };
    case "output":
      return { kind: { $case: "output", value: outputToMessage(hint.piece) } };
    case "due":
    case "pending":
    case "moved":
      return null;
  }
}

/** A peer's hint; null for one of a later version. Throws MALFORMED_REQUEST where it names nothing that can be. */
export function hintFromMessage(message: PeerHint): Hint | null {
  const { kind } = message;
  switch (kind?.$case) {
    case "ready": {
      const { route, maxPriority, count } = kind.value;
      return { kind: "ready", routeId: routeIdOf(route), bestRank: claimRank(maxPriority), count };
    }
    case "free":
      return { kind: "free" };
    case "stopExecutionId":
      return { kind: "stop", executionId: named<ExecutionId>(kind.value) };
    case "drainExecutorId":
      return { kind: "drain", executorId: named<ExecutorId>(kind.value) };
    case "endedExecutionId":
      return { kind: "ended", executionId: named<ExecutionId>(kind.value) };
    case "changedJobUid":
      return { kind: "changed", jobUid: named<JobUid>(kind.value) };
    case "output":
      return { kind: "output", piece: pieceOf(kind.value) };
    case undefined:
      return null;
  }
}

/** The store is asked for what a hint names; MySQL refuses to compare an identifier with other characters. */
function named<T extends string>(value: string): T {
  if (!IDENTIFIER_PATTERN.test(value)) throw new JobmeshError("MALFORMED_REQUEST");
  return value as T;
}

function pieceOf(message: AttemptOutput): OutputPiece {
  try {
    return outputFromMessage(message);
  } catch (cause) {
    throw new JobmeshError("MALFORMED_REQUEST", { cause });
  }
}
