import type { AttemptResult, OutputPiece } from "./attempt.ts";
import type { DispatchOrder } from "./dispatch.ts";
import type { StopReason } from "./execution.ts";
import type { ExecutorProfile } from "./executor.ts";
import type { AttemptKey, Incarnation, SchedulerId } from "./identifier.ts";

/** Room, as an executor counts it (rule 20). */
export type SlotCount = {
  /** Place in the profile's capabilities; null for the whole executor. */
  readonly capabilityIndex: number | null;
  /** Slots that nothing holds; 0 while the executor takes no work. */
  readonly free: number;
  /** Keys received under this session's number, each once, whatever became of them. */
  readonly receivedCount: number;
};

/** How far a partition of the result topic is stored (rules 18, 27). */
export type StoredOffset = {
  readonly generation: number;
  readonly partition: number;
  /** First offset that is not stored. */
  readonly nextOffset: number;
};

/** Hello: first on every stream. */
export type HelloMessage = {
  readonly kind: "hello";
  readonly profile: ExecutorProfile;
  /** From 1 in each incarnation; the highest one is the session. */
  readonly sessionNumber: number;
  /** Every attempt of this incarnation that was taken and whose result is not stored yet. */
  readonly taken: readonly AttemptKey[];
  /** The incarnation that this process knows to have ended; null when it knows of none. */
  readonly previousIncarnation: Incarnation | null;
};

/** A sign of life with the executor's room. */
export type HeartbeatMessage = {
  readonly kind: "heartbeat";
  /** From 1 on each stream. */
  readonly sequence: number;
  readonly slots: readonly SlotCount[];
  /** 0 to 1. */
  readonly cpuLoad: number;
  readonly memoryBytes: number;
  /** By the executor's clock. */
  readonly sendUs: number;
};

/** A message of a later version: passed over, though it counts as a sign of life. */
export type UnknownMessage = { readonly kind: "unknown" };

/** SessionUp is what an executor says to its home. */
export type SessionUp =
  | HelloMessage
  | HeartbeatMessage
  | { readonly kind: "started"; readonly key: AttemptKey; readonly startUs: number }
  | { readonly kind: "output"; readonly piece: OutputPiece }
  | { readonly kind: "progress"; readonly key: AttemptKey; readonly fraction: number; readonly message: string }
  | { readonly kind: "leaving"; readonly reason: string }
  /** A result by the session; `sequence` rises by one on each stream. */
  | { readonly kind: "result"; readonly sequence: number; readonly result: AttemptResult }
  /** Serialized FileDescriptorSets that Welcome asked for. */
  | { readonly kind: "descriptors"; readonly descriptorSets: readonly Uint8Array[] }
  | UnknownMessage;

/** Welcome gives an executor its terms. */
export type WelcomeMessage = {
  readonly kind: "welcome";
  readonly schedulerId: SchedulerId;
  readonly heartbeatIntervalMs: number;
  readonly leaseTtlMs: number;
  readonly reportDelayMs: number;
  /** SHA-256 in hex of descriptor sets that the mesh does not have. */
  readonly missingDescriptorHashes: readonly string[];
};

/** Answers a heartbeat. */
export type HeartbeatAckMessage = {
  readonly kind: "heartbeat_ack";
  readonly sequence: number;
  /** Mesh time. */
  readonly timeUs: number;
  readonly stored: readonly StoredOffset[];
  /** Last beat of this stream whose hearing the store has; 0 is Hello. */
  readonly heardSequence: number;
};

/** Asks that an attempt end (rule 25); always answered. */
export type StopMessage = {
  readonly kind: "stop";
  readonly key: AttemptKey;
  readonly reason: StopReason;
  /** Between the polite stop and the forced one. */
  readonly graceMs: number;
  readonly message: string;
};

/** SessionDown is what a home says to its executor. */
export type SessionDown =
  | WelcomeMessage
  | HeartbeatAckMessage
  | StopMessage
  /** Attempts that still run after the grace are cut off; null leaves it to the executor. */
  | { readonly kind: "drain"; readonly graceMs: number | null }
  | { readonly kind: "dispatch"; readonly order: DispatchOrder }
  /** Results of this stream are stored up to this one. */
  | { readonly kind: "result_stored"; readonly sequence: number }
  /** Output of an attempt is stored up to this piece. */
  | { readonly kind: "output_ack"; readonly key: AttemptKey; readonly sequence: number }
  | UnknownMessage;
