import { createHash } from "node:crypto";

/** The first 63 bits of the SHA-256 of a text: what fits a BIGINT with a sign, on both engines. */
export function hash63(text: string): bigint {
  return createHash("sha256").update(text).digest().readBigUInt64BE() >> 1n;
}
