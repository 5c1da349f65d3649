import { createHash } from "node:crypto";
import type { ExecutionId, JobUid } from "./identifier.ts";

function format(bytes: Uint8Array): ExecutionId {
  const hex = Buffer.from(bytes).toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}` as ExecutionId;
}

function stamp(bytes: Uint8Array, timeMs: number, version: number): void {
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(0, Math.floor(timeMs / 2 ** 16));
  bytes[4] = (timeMs >>> 8) & 0xff;
  bytes[5] = timeMs & 0xff;
  bytes[6] = (version << 4) | ((bytes[6] ?? 0) & 0x0f);
  bytes[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f);
}

/** UUIDv7 (RFC 9562) of a time in milliseconds and ten random bytes. */
export function randomExecutionId(timeMs: number, randomBytes: Uint8Array): ExecutionId {
  const bytes = new Uint8Array(16);
  bytes.set(randomBytes.subarray(0, 10), 6);
  stamp(bytes, timeMs, 7);
  return format(bytes);
}

/**
 * Rule 9: the one identifier that a fire can have, UUIDv8 of 48 bits of
 * milliseconds and a hash of the job's creation, nominal time and shard index.
 * Two owners that make the same fire make the same row.
 */
export function fireExecutionId(jobUid: JobUid, nominalMs: number, shardIndex: number): ExecutionId {
  const hash = createHash("sha256").update(`${jobUid}\n${nominalMs}\n${shardIndex}`).digest();
  const bytes = new Uint8Array(16);
  bytes.set(hash.subarray(0, 10), 6);
  stamp(bytes, nominalMs, 8);
  return format(bytes);
}

/** The time that an identifier begins with, whole milliseconds. */
export function executionTimeMs(executionId: ExecutionId): number {
  return Number.parseInt(executionId.slice(0, 8) + executionId.slice(9, 13), 16);
}

/** What stands before each identifier of that time or later, and behind all earlier ones. */
export function idsFrom(timeMs: number): string {
  const hex = timeMs.toString(16).padStart(12, "0");
  return `${hex.slice(0, 8)}-${hex.slice(8)}`;
}

/** The pattern of every execution_id. */
export const EXECUTION_ID_PATTERN = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
