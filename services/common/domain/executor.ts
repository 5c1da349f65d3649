import type { ExecutorId, Incarnation, SchedulerId } from "./identifier.ts";
import type { Route } from "./route.ts";

/** Partitions that the dispatch topic may have: settings and Hello share the bound. */
export const MAX_LANES = 4_096;

/** A kind of target that an executor can run. */
export type Capability =
  | { readonly kind: "command" | "grpc" | "http" }
  | {
      readonly kind: "handler";
      readonly method: string;
      /** SHA-256 of its FileDescriptorSet, hex. */
      readonly descriptorHash: string;
      /** Of the executor's slots, at most this many; 0 means all. */
      readonly slots: number;
    };

/** What an executor says of itself in Hello. */
export type ExecutorProfile = {
  readonly executorId: ExecutorId;
  readonly incarnation: Incarnation;
  readonly version: string;
  readonly slots: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly capabilities: readonly Capability[];
  /** Namespaces that it serves; empty means all. */
  readonly namespaces: readonly string[];
  /** Partition of the dispatch topic that it reads; null when it works by its session alone. */
  readonly lane: number | null;
  /** True when it registers in etcd, so that its lease counts as a sign of life (rule 14). */
  readonly registered: boolean;
};

/** ExecutorRecord is what the store has of an incarnation (rule 14). Times in microseconds, mesh time. */
export type ExecutorRecord = ExecutorProfile & {
  readonly sessionNumber: number;
  readonly home: SchedulerId;
  readonly registeredUs: number;
  readonly heardUs: number;
  /** Set once when it was declared lost; then it never comes back (rule 16). */
  readonly lostUs: number | null;
  /** Set when it left by itself, all its attempts ended. */
  readonly leftUs: number | null;
  readonly draining: boolean;
  /** Free slots as last written with heardUs. */
  readonly freeSlots: number;
  readonly cpuLoad: number;
  readonly memoryBytes: number;
};

/** Place of the capability that runs a route, or -1. */
export function capabilityIndex(profile: ExecutorProfile, route: Pick<Route, "kind" | "method">): number {
  return profile.capabilities.findIndex(
    (capability) =>
      capability.kind === route.kind && (capability.kind !== "handler" || capability.method === route.method),
  );
}

/** True when the executor can run what waits on the route. */
export function matchesRoute(profile: ExecutorProfile, route: Route): boolean {
  if (route.pin !== null && route.pin !== profile.executorId) return false;
  if (profile.namespaces.length > 0 && !profile.namespaces.includes(route.namespace)) return false;
  for (const [key, value] of Object.entries(route.labels)) {
    if (profile.labels[key] !== value) return false;
  }
  return capabilityIndex(profile, route) >= 0;
}
