import { createHash } from "node:crypto";

/** Weight of a member for a key: the first 6 bytes of a SHA-256, as a number. */
function weight(member: string, key: string): number {
  return createHash("sha256").update(`${member}\n${key}`).digest().readUIntBE(0, 6);
}

/**
 * Rendezvous hashing (Thaler and Ravishankar, 1996): the member with the
 * highest weight owns the key. When a member goes, only its keys move.
 * Undefined when there are no members.
 */
export function rendezvousOwner(members: readonly string[], key: string): string | undefined {
  let owner: string | undefined;
  let best = -1;
  for (const member of members) {
    const own = weight(member, key);
    if (own > best || (own === best && owner !== undefined && member < owner)) {
      owner = member;
      best = own;
    }
  }
  return owner;
}
