import { setLogger } from "@grpc/grpc-js";

/**
 * Keeps grpc-js from writing its own lines to standard error: every error that
 * it would print reaches the caller, who logs it once. What GRPC_VERBOSITY and
 * GRPC_TRACE ask for is still written.
 */
export function quietGrpc(): void {
  setLogger({ error: () => {}, info: console.error, debug: console.error });
}
