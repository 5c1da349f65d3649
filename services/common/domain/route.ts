import { hash63 } from "./hash.ts";
import type { ExecutorId, RouteId } from "./identifier.ts";
import type { ExecutionPolicy } from "./policy.ts";
import type { TargetKind } from "./target.ts";

/**
 * Route says which executors can run an execution: all waiting executions of
 * a route are alike to the dispatcher (rule 6).
 */
export type Route = {
  readonly kind: TargetKind;
  /** Full method name of a handler; empty otherwise. */
  readonly method: string;
  readonly namespace: string;
  /** Labels that the executor must carry. */
  readonly labels: Readonly<Record<string, string>>;
  /** The one executor that it is pinned to, TO_BE_PINNED while that is not chosen; null when any may run it. */
  readonly pin: ExecutorId | null;
};

/** The pin of what waits for its executor to be chosen: nobody's name, so nobody claims it (rule 32). */
export const TO_BE_PINNED = "" as ExecutorId;

/** The route without its pin: whoever matches it can be its pin. */
export function withoutPin(route: Route): Route {
  return route.pin === null ? route : { ...route, pin: null };
}

/** The route as canonical JSON: the same route has the same text, and the text can be read back. */
export function routeText(route: Route): string {
  const labels = Object.entries(route.labels).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([route.kind, route.method, route.namespace, labels, route.pin]);
}

/** Reads a route's text. Throws when it is none. */
export function parseRoute(text: string): Route {
  const [kind, method, namespace, labels, pin] = JSON.parse(text) as [
    TargetKind,
    string,
    string,
    [string, string][],
    ExecutorId | null,
  ];
  return { kind, method, namespace, labels: Object.fromEntries(labels), pin };
}

/** Routes are few and executions many: hashes of the latest texts are kept. */
const MAX_KEPT_IDS = 1_000;
const keptIds = new Map<string, RouteId>();

/** The first 63 bits of the SHA-256 of a route's text. */
export function routeIdOf(text: string): RouteId {
  const kept = keptIds.get(text);
  if (kept !== undefined) return kept;
  const routeId = hash63(text) as RouteId;
  if (keptIds.size >= MAX_KEPT_IDS) keptIds.clear();
  keptIds.set(text, routeId);
  return routeId;
}

/** The route of what is pinned to nobody yet: who can run its target, in its namespace, with its labels. */
export function routeOf(work: {
  readonly target: { readonly kind: TargetKind; readonly method: string };
  readonly namespace: string;
  readonly policy: Pick<ExecutionPolicy, "executorLabels" | "routingStrategy">;
}): Route {
  const { kind, method } = work.target;
  const { executorLabels: labels, routingStrategy } = work.policy;
  return {
    kind,
    method,
    namespace: work.namespace,
    labels,
    pin: routingStrategy === "ROUND_ROBIN" ? TO_BE_PINNED : null,
  };
}
