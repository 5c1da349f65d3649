import { ServerInterceptingCall, type ServerInterceptor } from "@grpc/grpc-js";
import type { Metrics } from "../telemetry/metrics.ts";
import { CallMetrics } from "./call-metrics.ts";
import { toStatusParts } from "./status.ts";
import { TOKEN_KEY, type TokenGate, tokenRefused } from "./token.ts";

/** Probes have no token, and learn nothing but whether the process serves. */
const OPEN_SERVICE = "/grpc.health.v1.Health/";

/**
 * Refuses calls without a valid token, all but those of grpc.health.v1. It sits
 * before the methods: nothing of a refused call's messages is read.
 */
export function tokenInterceptor(gate: TokenGate, metrics: Metrics): ServerInterceptor {
  const counters = new Map<string, CallMetrics>();
  const countRefused = (path: string): void => {
    const counter = counters.get(path) ?? new CallMetrics(metrics, path.slice(1));
    counters.set(path, counter);
    counter.ended("UNAUTHENTICATED", null);
  };
  return ({ path }, call) => {
    if (path.startsWith(OPEN_SERVICE)) return new ServerInterceptingCall(call);
    return new ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMetadata: (metadata, pass) => {
            const [given, ...more] = metadata.get(TOKEN_KEY);
            if (more.length === 0 && gate.admits(given?.toString())) {
              // It has done its work: nothing behind this reads it, so nothing can show it.
              metadata.remove(TOKEN_KEY);
              return pass(metadata);
            }
            countRefused(path);
            call.sendStatus(toStatusParts(tokenRefused()));
          },
        }),
    });
  };
}
