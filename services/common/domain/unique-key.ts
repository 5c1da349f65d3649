import { createHash } from "node:crypto";

/** Longest unique_key, characters. */
export const MAX_UNIQUE_KEY_CHARS = 128;

/** What happens to a submission whose key another execution carries that has not ended. */
export type UniquePolicy = "RETURN_EXISTING" | "REJECT" | "REPLACE_WAITING";

/** At most one execution of a namespace that has not ended carries a key (rule 5). */
export type UniqueKey = { readonly key: string; readonly policy: UniquePolicy };

/** What stands for a key in the store: SHA-256 of namespace and key, hex. A namespace has no line break. */
export function uniqueHash(namespace: string, key: string): string {
  return createHash("sha256").update(`${namespace}\n${key}`).digest("hex");
}
