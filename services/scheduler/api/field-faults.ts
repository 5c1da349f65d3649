import type { Duration } from "../../../gen/google/protobuf/duration.ts";
import type { Timestamp } from "../../../gen/google/protobuf/timestamp.ts";
import { IDENTIFIER_PATTERN } from "../../common/domain/identifier.ts";
import { type FieldViolation, JobmeshError } from "../../common/error/jobmesh-error.ts";
import { msOfDuration, usOfTimestamp } from "../../common/wire/time.ts";

/** Latest instant that a timestamp may name: microseconds are exact in a number until the year 2255. */
const MAX_TIMESTAMP_US = Number.MAX_SAFE_INTEGER;
/** Nanoseconds in a second. */
const NANOS = 1_000_000_000;

/**
 * Collects what is wrong with a request, field by field, so that a caller
 * hears of all of it at once and nothing is stored.
 */
export class FieldFaults {
  readonly #violations: FieldViolation[] = [];
  #invalid = false;

  /** Notes that a field breaks a rule. The description names the limit. */
  add(field: string, description: string): void {
    this.#invalid = true;
    this.#violations.push({ field, description });
  }

  /** Notes that a field is set which this version does not carry out: nothing is accepted and ignored. */
  unsupported(field: string, isSet: boolean): void {
    if (isSet) this.#violations.push({ field, description: "is not supported by this version" });
  }

  /** Throws INVALID_ARGUMENT with all that was noted. */
  throwIfAny(): void {
    if (this.#violations.length === 0) return;
    throw new JobmeshError(this.#invalid ? "INVALID_FIELD" : "FIELD_NOT_SUPPORTED", {
      fieldViolations: this.#violations,
    });
  }

  /** 1 to 64 of [A-Za-z0-9._-]; `unset` stands for an empty one, null makes it required. */
  identifier(field: string, value: string, unset: string | null): string {
    if (value === "" && unset !== null) return unset;
    if (!IDENTIFIER_PATTERN.test(value)) {
      this.add(field, `must be 1 to 64 of [A-Za-z0-9._-]; was ${shown(value)}`);
    }
    return value;
  }

  /** A text of at most `max` characters. */
  text(field: string, value: string, max: number): string {
    if (value.length > max) this.add(field, `must be at most ${max} characters; was ${value.length}`);
    if (!value.isWellFormed()) this.add(field, "must be well-formed Unicode; has a lone surrogate");
    return value;
  }

  /** A whole number in a range; `unset` stands for 0. */
  whole(field: string, value: number, range: { min: number; max: number; unset: number }): number {
    if (value === 0) return range.unset;
    if (value < range.min || value > range.max) {
      this.add(field, `must be from ${range.min} to ${range.max}; was ${value}`);
    }
    return value;
  }

  /** A duration in milliseconds, in a range; `unsetMs` stands for one that is not there. */
  durationMs(
    field: string,
    value: Duration | undefined,
    range: { minMs: number; maxMs: number; unsetMs: number },
  ): number {
    if (value === undefined) return range.unsetMs;
    const ms = msOfDuration(value);
    const mixed = value.seconds > 0n ? value.nanos < 0 : value.seconds < 0n && value.nanos > 0;
    if (Math.abs(value.nanos) >= NANOS || mixed) {
      this.add(field, "is no valid duration: nanos must be below one second and have the sign of seconds");
    } else if (ms < range.minMs || ms > range.maxMs) {
      this.add(field, `must be from ${range.minMs} ms to ${range.maxMs} ms; was ${ms} ms`);
    }
    return ms;
  }

  /** A timestamp in microseconds; null when it is not there. */
  timestampUs(field: string, value: Timestamp | undefined): number | null {
    if (value === undefined) return null;
    const us = usOfTimestamp(value);
    if (us < 0 || us > MAX_TIMESTAMP_US || value.nanos < 0 || value.nanos >= NANOS) {
      this.add(field, "must be a time from 1970-01-01T00:00:00Z to 2255-06-05T23:47:34Z");
      return null;
    }
    return us;
  }

  /** At most 64 labels, keys and values at most 63 characters, keys not empty. */
  labels(field: string, value: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
    const entries = Object.entries(value);
    if (entries.length > 64) this.add(field, `must be at most 64 entries; was ${entries.length}`);
    for (const [key, text] of entries) {
      if (key === "" || key.length > 63) this.add(`${field}[${shown(key)}]`, "key must be 1 to 63 characters");
      if (text.length > 63) this.add(`${field}[${key}]`, `must be at most 63 characters; was ${text.length}`);
    }
    return value;
  }
}

/** A value as an error message shows it, cut so that it cannot flood one. */
function shown(value: string): string {
  return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value);
}
