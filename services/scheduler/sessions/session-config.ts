import type { SchedulerId } from "../../common/domain/identifier.ts";

/** Terms of sessions; the values of protocol.md. Times in milliseconds. */
export type SessionConfig = {
  readonly schedulerId: SchedulerId;
  /** Between heartbeats. */
  readonly heartbeatIntervalMs: number;
  /** Silence after which an executor gets no more work. */
  readonly suspectMs: number;
  /** Silence after which one that keeps a key in the registry may be lost. */
  readonly leaseTtlMs: number;
  /** The same for one without a key. */
  readonly keylessLeaseTtlMs: number;
  /** An attempt that ends sooner is reported by its result alone. */
  readonly reportDelayMs: number;
  /** Between the polite stop of an attempt and the forced one. */
  readonly killGraceMs: number;
  /** A DISPATCHED attempt that its executor did not confirm for so long goes elsewhere (rule 21). */
  readonly rerouteAfterMs: number;
  /** A stream that does not say Hello for so long is ended. */
  readonly helloTimeoutMs: number;
};

/** Defaults of SessionConfig but for the scheduler's name. */
export const sessionDefaults: Omit<SessionConfig, "schedulerId"> = {
  heartbeatIntervalMs: 1_000,
  suspectMs: 3_000,
  leaseTtlMs: 5_000,
  keylessLeaseTtlMs: 45_000,
  reportDelayMs: 250,
  killGraceMs: 10_000,
  rerouteAfterMs: 10_000,
  helloTimeoutMs: 10_000,
};
