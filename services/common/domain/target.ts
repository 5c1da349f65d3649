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

/** A serialized jobmesh.v1.Target that is a command without a line: what adopted logs have whose job was gone. */
export const NO_COMMAND_BYTES: Uint8Array = Uint8Array.of(0x0a, 0);

/** True for what says nothing of what ran; no caller can submit one. */
export function isNoCommand({ kind, bytes }: Target): boolean {
  return (
    kind === "command" &&
    bytes.length === NO_COMMAND_BYTES.length &&
    bytes.every((byte, at) => byte === NO_COMMAND_BYTES[at])
  );
}
