/** Primes and offsets of FNV-1a, 32 bits (Fowler, Noll and Vo), and of MurmurHash3's finalizer (Appleby). */
const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/**
 * Weight of a member for a key: FNV-1a over both, mixed by MurmurHash3's finalizer, as FNV alone leaves weights of keys
 * that differ in the last character close together. It is asked some thousand times at each change of the members.
 */
function weight(member: string, key: string): number {
  let hash = FNV_OFFSET;
  for (const text of [member, "\n", key]) {
    for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), FNV_PRIME);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
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
