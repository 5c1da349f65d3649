import { createHash } from "node:crypto";

/** Longest unique_key, characters. */
export const MAX_UNIQUE_KEY_CHARS = 128;

/** What happens to a submission whose key another execution carries that has not ended. */
export type UniquePolicy = "RETURN_EXISTING" | "REJECT" | "REPLACE_WAITING";

/** At most one execution of a namespace that has not ended carries a key (rule 5). */
export type UniqueKey = {
  /** What stands for the key in the store: SHA-256 of namespace and key, hex. */
  readonly hash: string;
  readonly policy: UniquePolicy;
};

/** A namespace's key. A namespace has no line break. */
export function uniqueKey(namespace: string, key: string, policy: UniquePolicy): UniqueKey {
  return { hash: createHash("sha256").update(`${namespace}\n${key}`).digest("hex"), policy };
}
