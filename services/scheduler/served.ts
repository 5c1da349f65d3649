import type { Handlers, ServiceShape } from "../common/rpc/contract.ts";

/** A service with its handlers. */
export type Served = { readonly definition: ServiceShape; readonly handlers: object };

/** Joins a service and its handlers, whose types have to fit. */
export function served<S extends ServiceShape>(definition: S, handlers: Handlers<S>): Served {
  return { definition, handlers };
}

/** Handlers that ask the guard first: what it throws is the call's answer. */
export function guarded<H extends object>(guard: () => void, handlers: H): H {
  const wrapped = Object.entries(handlers).map(([name, handler]) => [
    name,
    (...given: unknown[]): unknown => {
      guard();
      return (handler as (...given: unknown[]) => unknown)(...given);
    },
  ]);
  return Object.fromEntries(wrapped) as H;
}
