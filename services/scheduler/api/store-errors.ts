import { JobmeshError } from "../../common/error/jobmesh-error.ts";
import { StoreUnavailable } from "../../common/port/store.ts";

/** What a caller sees while the store is away: UNAVAILABLE, and whether it was stored is not known. */
export function storeError(thrown: unknown): unknown {
  return thrown instanceof StoreUnavailable ? new JobmeshError("STORE_UNAVAILABLE", { cause: thrown }) : thrown;
}

/** Wraps the handlers of a service so that a store that is away is UNAVAILABLE. */
export function withStoreErrors<H extends object>(handlers: H): H {
  const wrapped = Object.entries(handlers).map(([name, handler]) => [name, wrap(handler)]);
  return Object.fromEntries(wrapped) as H;
}

function wrap(handler: unknown): unknown {
  if (typeof handler !== "function") return handler;
  return (...parameters: unknown[]) => {
    const answer: unknown = handler(...parameters);
    return answer instanceof Promise ? answer.catch((thrown: unknown) => Promise.reject(storeError(thrown))) : answer;
  };
}
