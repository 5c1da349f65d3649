import { assert } from "../../domain/assert.ts";
import type { Row } from "./session.ts";

/**
 * Readers of one column each. MySQL gives BIGINT as text, SQLite as a number;
 * BLOBs come as Buffer. A column that is not there or of another kind is a
 * programmer's error.
 */

/** Text that is never NULL. */
export function text(row: Row, column: string): string {
  const value = row[column];
  assert(typeof value === "string", `column ${column} is not text`);
  return value;
}

/** Text or null. */
export function textOrNull(row: Row, column: string): string | null {
  return row[column] === null ? null : text(row, column);
}

/** A whole number that is exact as a double: times, counts, numbers of things. */
export function int(row: Row, column: string): number {
  const value = row[column];
  const number =
    typeof value === "number"
      ? value
      : typeof value === "string" || typeof value === "bigint"
        ? Number(value)
        : Number.NaN;
  assert(Number.isSafeInteger(number), `column ${column} is not a whole number`);
  return number;
}

/** A whole number or null. */
export function intOrNull(row: Row, column: string): number | null {
  return row[column] === null ? null : int(row, column);
}

/** A number with fractions. */
export function real(row: Row, column: string): number {
  const value = row[column];
  const number = typeof value === "string" ? Number(value) : value;
  assert(typeof number === "number" && !Number.isNaN(number), `column ${column} is not a number`);
  return number;
}

/** A number with fractions or null. */
export function realOrNull(row: Row, column: string): number | null {
  return row[column] === null ? null : real(row, column);
}

/** A 63-bit value, which was read as text. */
export function big(row: Row, column: string): bigint {
  const value = row[column];
  assert(
    typeof value === "string" || typeof value === "bigint" || Number.isSafeInteger(value),
    `column ${column} is not exact: read it as text`,
  );
  return BigInt(value as string | bigint | number);
}

/** A 63-bit value or null. */
export function bigOrNull(row: Row, column: string): bigint | null {
  return row[column] === null ? null : big(row, column);
}

/** True for 1. */
export function flag(row: Row, column: string): boolean {
  return int(row, column) === 1;
}

/** The exact bytes of a BLOB. */
export function bytes(row: Row, column: string): Uint8Array {
  const value = row[column];
  assert(value instanceof Uint8Array, `column ${column} is not bytes`);
  return value;
}

/** The bytes of a BLOB or null. */
export function bytesOrNull(row: Row, column: string): Uint8Array | null {
  return row[column] === null ? null : bytes(row, column);
}
