import type { Member } from "../../port/registry.ts";

/**
 * Members as etcd's own gRPC naming writes them, so that clients in other
 * languages resolve the mesh's names and their services are seen here: a key
 * CLUSTER/NAME/INSTANCE with the JSON `{"Op":0,"Addr":"host:port","Metadata":{…}}`.
 */

/** Prefix of the keys of a name. */
export function namePrefix(cluster: string, name: string): string {
  return `${cluster}/${name}/`;
}

/** Text of a member's value. */
export function renderMember({ address, metadata }: Pick<Member, "address" | "metadata">): string {
  return JSON.stringify({ Op: 0, Addr: address, Metadata: metadata });
}

/**
 * Reads a member; null when the text is none. Metadata is anything for other
 * writers: what is no text becomes its JSON, what is no object is left out.
 */
export function readMember(name: string, instance: string, text: string): Member | null {
  const value = parse(text);
  if (!isRecord(value) || typeof value.Addr !== "string") return null;
  const given = value.Metadata;
  const entries = isRecord(given) ? Object.entries(given) : [];
  const metadata = Object.fromEntries(
    entries.map(([key, entry]) => [key, typeof entry === "string" ? entry : JSON.stringify(entry)]),
  );
  return { name, instance, address: value.Addr, metadata };
}

/** True when nothing that a member says of itself differs. */
export function isSameMember(one: Member, other: Member): boolean {
  if (one.instance !== other.instance || one.address !== other.address) return false;
  const keys = Object.keys(one.metadata);
  return (
    keys.length === Object.keys(other.metadata).length &&
    keys.every((key) => Object.hasOwn(other.metadata, key) && one.metadata[key] === other.metadata[key])
  );
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
