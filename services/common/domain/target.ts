/** Kinds of target, in the order of the contract's oneof. */
export type TargetKind = "command" | "handler" | "grpc" | "http";

/**
 * Target is what an execution runs. Schedulers carry it unopened: `bytes` is
 * the serialized jobmesh.v1.Target, which the API checked and only an executor
 * decodes. What routing and people need of it stands beside.
 */
export type Target = {
  readonly kind: TargetKind;
  /** Full method name of a handler, "package.Service/Method"; empty otherwise. */
  readonly method: string;
  /** Command line, full method name or URL, for people and the `command` column. */
  readonly summary: string;
  /** Serialized jobmesh.v1.Target. */
  readonly bytes: Uint8Array;
};

/** Rule 28: a serialized target is at most this long. */
export const MAX_TARGET_BYTES = 512 * 1024;
