import type { Duration } from "../../../gen/google/protobuf/duration.ts";
import type { Timestamp } from "../../../gen/google/protobuf/timestamp.ts";

/** Microseconds since the Unix epoch as a Timestamp. */
export function timestampOfUs(us: number): Timestamp {
  const seconds = Math.floor(us / 1e6);
  return { seconds: BigInt(seconds), nanos: (us - seconds * 1e6) * 1000 };
}

/** The same for a time that may not be there. */
export function optionalTimestamp(us: number | null): Timestamp | undefined {
  return us === null ? undefined : timestampOfUs(us);
}

/** A Timestamp in whole microseconds, cut towards the past. */
export function usOfTimestamp(timestamp: Timestamp): number {
  return Number(timestamp.seconds) * 1e6 + Math.floor(timestamp.nanos / 1000);
}

/** Milliseconds, with fractions, as a Duration. */
export function durationOfMs(ms: number): Duration {
  const us = Math.round(ms * 1000);
  const seconds = Math.trunc(us / 1e6);
  return { seconds: BigInt(seconds), nanos: (us - seconds * 1e6) * 1000 };
}

/** The same for a time that may not be there. */
export function optionalDuration(ms: number | null): Duration | undefined {
  return ms === null ? undefined : durationOfMs(ms);
}

/** A Duration in milliseconds, with fractions. */
export function msOfDuration(duration: Duration): number {
  return Number(duration.seconds) * 1000 + duration.nanos / 1e6;
}
