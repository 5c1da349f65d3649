/** A string or number that may not be mistaken for another of its kind. */
type Brand<Base, Name extends string> = Base & { readonly __brand: Name };

/** Identifier of an execution: a UUID whose first 48 bits are its nominal time in milliseconds. */
export type ExecutionId = Brand<string, "ExecutionId">;
/** Identity of one creation of a job: a job deleted and created again has another. */
export type JobUid = Brand<string, "JobUid">;
/** Identifier of an executor, stable over its restarts. */
export type ExecutorId = Brand<string, "ExecutorId">;
/** One life of an executor: new at every process start and after every self-fencing. */
export type Incarnation = Brand<string, "Incarnation">;
/** Identifier of a scheduler process. */
export type SchedulerId = Brand<string, "SchedulerId">;
/** 64 random bits that name one claim of an execution; never 0. */
export type Fence = Brand<bigint, "Fence">;
/** The first 63 bits of the SHA-256 of a route's text. */
export type RouteId = Brand<bigint, "RouteId">;

/** Names an attempt and fences it: results, stops and output under another key are dropped. */
export type AttemptKey = {
  readonly executionId: ExecutionId;
  /** From 1. */
  readonly attempt: number;
  readonly fence: Fence;
};

/** A text that stands for a key, for maps and sets. */
export function keyText(key: AttemptKey): string {
  return `${key.executionId}/${key.attempt}/${key.fence}`;
}

/** 1 to 64 of [A-Za-z0-9._-]: jobs, namespaces, executors, schedulers, calendars. */
export const IDENTIFIER_PATTERN = /^[A-Za-z0-9._-]{1,64}$/;
