/**
 * What the API promises of a target's parts (contract, GrpcTarget and HttpTarget):
 * measured where it is submitted, and again, filled in, at each attempt.
 */

/** Most bytes of metadata, keys and values: servers take 8 KiB, of which ours need a part. */
export const MAX_METADATA_BYTES = 6 * 1024;
/** Most bytes of the names and values of an HTTP target's headers: half of what servers commonly take. */
export const MAX_HEADERS_BYTES = 8 * 1024;
/** Longest URL, in characters: servers take request lines of about this length. */
export const MAX_URL_CHARACTERS = 8_192;

const BASE64_PATTERN = /^[A-Za-z0-9+/]*={0,2}$/;

/** True when it can be the value of metadata whose key ends in "-bin". */
export function isBase64(value: string): boolean {
  return BASE64_PATTERN.test(value);
}

/** Bytes of all names and values. */
export function entryBytes(entries: Readonly<Record<string, string>>): number {
  return Object.entries(entries).reduce(
    (sum, [name, value]) => sum + Buffer.byteLength(name) + Buffer.byteLength(value),
    0,
  );
}
