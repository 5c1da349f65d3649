import { EXECUTION_ID_PATTERN } from "../../common/domain/execution-id.ts";
import type { ExecutionId } from "../../common/domain/identifier.ts";
import { JobmeshError } from "../../common/error/jobmesh-error.ts";
import type { EndedPlace } from "../../common/port/store-retention.ts";

/**
 * A resume token is a place among the ends, by the store's clock: everything
 * that ended up to there, whenever it is committed, has been sent; what comes
 * after it may not have been. So it stands `settleUs` behind the clock, and
 * whoever resumes from it is told some ends twice and none never (rule 34).
 */

/** Kind and version of what is written; one of a later version is no token here. */
const VERSION = "watch-1";
/** No token of ours is longer. */
const MAX_CHARACTERS = 200;

/** A token for a place. */
export function resumeToken({ endedUs, executionId }: EndedPlace): string {
  return Buffer.from(JSON.stringify([VERSION, endedUs, executionId])).toString("base64url");
}

/** The place of a token; null when it is not one that this mesh gives. */
export function placeOfToken(token: string): EndedPlace | null {
  if (token.length > MAX_CHARACTERS) return null;
  let parts: unknown;
  try {
    parts = JSON.parse(Buffer.from(token, "base64url").toString());
  } catch {
    return null;
  }
  if (!Array.isArray(parts) || parts.length !== 3) return null;
  const [version, endedUs, executionId] = parts as readonly unknown[];
  if (version !== VERSION || typeof endedUs !== "number" || typeof executionId !== "string") return null;
  if (!Number.isSafeInteger(endedUs) || endedUs < 0) return null;
  return executionId === "" || EXECUTION_ID_PATTERN.test(executionId)
    ? { endedUs, executionId: executionId as ExecutionId }
    : null;
}

/** Before everything that ended at this time. */
export function placeAt(timeUs: number): EndedPlace {
  return { endedUs: Math.max(timeUs, 0), executionId: "" as ExecutionId };
}

/** OUT_OF_RANGE when what ended after a place is not all there any more, or the place is of another store's time. */
export function checkRange(place: EndedPlace, { nowUs, deletedUs }: { nowUs: number; deletedUs: number }): void {
  if (place.endedUs > nowUs) {
    throw new JobmeshError("RESUME_TOKEN_EXPIRED", {
      message: "the store's clock has not come to the resume_token yet",
    });
  }
  if (deletedUs === 0 || deletedUs < place.endedUs) return;
  throw endsDeleted();
}

/** Something that ended after a place is deleted. */
export function endsDeleted(): JobmeshError {
  return new JobmeshError("RESUME_TOKEN_EXPIRED", {
    message: "executions that ended after the resume_token are deleted: list, then watch from the list's token",
  });
}
