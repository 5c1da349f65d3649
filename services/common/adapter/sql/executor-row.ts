import type { ExecutorProfile, ExecutorRecord } from "../../domain/executor.ts";
import type { ExecutorId, Incarnation, SchedulerId } from "../../domain/identifier.ts";
import { flag, int, intOrNull, real, text } from "./row-reader.ts";
import type { Row } from "./session.ts";

/** How an executor's incarnation stands in its row: what Hello said is JSON, what is compared has columns. */

/** Columns that an ExecutorRecord is read from. */
export const EXECUTOR_COLUMNS = [
  "executor_id",
  "incarnation",
  "session_number",
  "home",
  "registered_us",
  "heard_us",
  "lost_us",
  "left_us",
  "free_slots",
  "profile",
  "draining",
  "cpu_load",
  "memory_bytes",
  "drain_us",
] as const;

/** The record of a row with EXECUTOR_COLUMNS. */
export function executorOf(row: Row): ExecutorRecord {
  return {
    ...parseProfile(text(row, "profile")),
    executorId: text(row, "executor_id") as ExecutorId,
    incarnation: text(row, "incarnation") as Incarnation,
    sessionNumber: int(row, "session_number"),
    home: text(row, "home") as SchedulerId,
    registeredUs: int(row, "registered_us"),
    heardUs: int(row, "heard_us"),
    lostUs: intOrNull(row, "lost_us"),
    leftUs: intOrNull(row, "left_us"),
    draining: flag(row, "draining") || row.drain_us !== null,
    freeSlots: int(row, "free_slots"),
    cpuLoad: real(row, "cpu_load"),
    memoryBytes: int(row, "memory_bytes"),
  };
}

/** What Hello said, as its column has it. */
export function profileText(profile: ExecutorProfile): string {
  return JSON.stringify(profile);
}

/** Profiles that were parsed, by their text: each scheduler reads all executors each second, and what they said stays. */
const parsed = new Map<string, ExecutorProfile>();
/** With more of them all are parsed again. */
const MAX_PARSED = 1_000;

function parseProfile(text: string): ExecutorProfile {
  const known = parsed.get(text);
  if (known !== undefined) return known;
  const profile = JSON.parse(text) as ExecutorProfile;
  if (parsed.size >= MAX_PARSED) parsed.clear();
  parsed.set(text, profile);
  return profile;
}
