import type { Duration } from "../../../gen/google/protobuf/duration.ts";
import type { Timestamp } from "../../../gen/google/protobuf/timestamp.ts";
import { EXECUTION_ID_PATTERN } from "../../common/domain/execution-id.ts";
import { type ExecutionId, IDENTIFIER_PATTERN } from "../../common/domain/identifier.ts";
import { type FieldViolation, JobmeshError } from "../../common/error/jobmesh-error.ts";
import { msOfDuration, usOfTimestamp } from "../../common/wire/time.ts";

/** Latest instant that a timestamp may name: microseconds are exact in a number until the year 2255. */
const MAX_TIMESTAMP_US = Number.MAX_SAFE_INTEGER;
/** Nanoseconds in a second. */
const NANOS = 1_000_000_000;
/** Violations that are told; a request with more of them is as wrong as it can be. */
const MAX_VIOLATIONS = 100;
/** Labels of one map, and characters of a key or value. */
const MAX_LABELS = 64;
const MAX_LABEL_CHARACTERS = 63;

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
    if (this.#violations.length < MAX_VIOLATIONS) this.#violations.push({ field, description });
  }

  /** Notes that a field is set which this version does not carry out: nothing is accepted and ignored. */
  unsupported(field: string, isSet: boolean): void {
    if (!isSet || this.#violations.length >= MAX_VIOLATIONS) return;
    this.#violations.push({ field, description: "is not supported by this version" });
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

  /** The identifier of an execution. */
  executionId(field: string, value: string): ExecutionId {
    if (!EXECUTION_ID_PATTERN.test(value)) this.add(field, `must be a UUID in lower case; was ${shown(value)}`);
    return value as ExecutionId;
  }

  /** A text of at most `max` characters that every store takes as it is. */
  text(field: string, value: string, max: number): string {
    if (value.length > max) this.add(field, `must be at most ${max} characters; was ${value.length}`);
    this.plain(field, value);
    return value;
  }

  /** A text, however long, that every store and every process takes as it is. */
  plain(field: string, value: string): void {
    if (value.includes("\0")) this.add(field, "must not hold NUL");
    if (!value.isWellFormed()) this.add(field, "must be well-formed Unicode; has a lone surrogate");
  }

  /** A value of an enumeration; `unset` stands for 0. A number that the contract lacks is a fault. */
  oneOf<V, U>(field: string, values: Readonly<Record<number, V>>, value: number, unset: U): V | U {
    if (value === 0) return unset;
    const found = values[value];
    if (found !== undefined) return found;
    this.add(field, `must be one of ${Object.values(values).join(", ")}; was ${value}`);
    return unset;
  }

  /** A whole number in a range; `unset` stands for 0. */
  whole(field: string, value: number, range: { min: number; max: number; unset: number }): number {
    if (value === 0) return range.unset;
    if (value < range.min || value > range.max) {
      this.add(field, `must be from ${range.min} to ${range.max}; was ${value}`);
    }
    return value;
  }

  /**
   * A duration in a range, in whole milliseconds: a part of one counts as a
   * whole one, so that no limit gets shorter. `unsetMs` stands for one that is not there.
   */
  durationMs(
    field: string,
    value: Duration | undefined,
    range: { minMs: number; maxMs: number; unsetMs: number },
  ): number {
    const exactMs = this.exactMs(field, value);
    if (exactMs === null) return range.unsetMs;
    const ms = Math.ceil(exactMs);
    if (ms < range.minMs || ms > range.maxMs) {
      this.add(field, `must be from ${range.minMs} ms to ${range.maxMs} ms; was ${exactMs} ms`);
    }
    return ms;
  }

  /** A duration in milliseconds with fractions; null when it is not there, or is none. */
  exactMs(field: string, value: Duration | undefined): number | null {
    if (value === undefined) return null;
    const mixed = value.seconds > 0n ? value.nanos < 0 : value.seconds < 0n && value.nanos > 0;
    if (Math.abs(value.nanos) < NANOS && !mixed) return msOfDuration(value);
    this.add(field, "is no valid duration: nanos must be below one second and have the sign of seconds");
    return null;
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

  /** At most 64 labels, keys and values at most 63 characters, keys not empty; in the order of their keys. */
  labels(field: string, value: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
    const entries = Object.entries(value);
    if (entries.length > MAX_LABELS) {
      this.add(field, `must be at most ${MAX_LABELS} entries; was ${entries.length}`);
      return value;
    }
    for (const [key, text] of entries) {
      const place = `${field}[${shown(key)}]`;
      if (key === "" || key.length > MAX_LABEL_CHARACTERS) {
        this.add(place, `key must be 1 to ${MAX_LABEL_CHARACTERS} characters; was ${key.length}`);
      }
      this.plain(place, key);
      this.text(place, text, MAX_LABEL_CHARACTERS);
    }
    return sorted(value);
  }
}

/** The same entries in the order of their keys, so that what is equal is stored as the same bytes. */
export function sorted(map: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** A value as an error message shows it, cut so that it cannot flood one. */
function shown(value: string): string {
  return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value);
}
