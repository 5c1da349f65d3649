import { createHash } from "node:crypto";

/**
 * The part of a job's jitter that delays one fire, in whole milliseconds from
 * 0 up to and with `jitterMs`. The same job and nominal time always give the
 * same part, so that every scheduler computes the same ready time.
 */
export function jitterOf(jobUid: string, nominalMs: number, jitterMs: number): number {
  if (jitterMs <= 0) return 0;
  const drawn = createHash("sha256").update(`${jobUid}\n${nominalMs}`).digest().readUIntBE(0, 6);
  return Math.floor((drawn / 2 ** 48) * (jitterMs + 1));
}
