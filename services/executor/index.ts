/**
 * The SDK of executors: typed handlers in a program of yours.
 *
 *   createExecutor({ scheduler: "127.0.0.1:7070", executorId: "reports-1", descriptors })
 *     .handle(ReportServiceService.render, async (request, context) => { … })
 */
import { ExecutorApp, type ExecutorOptions } from "./executor-app.ts";

export { JobmeshError } from "../common/error/jobmesh-error.ts";
export type { MethodShape, RequestOf, ResponseOf } from "../common/rpc/contract.ts";
export type { SecurityOptions, TlsOptions } from "../common/security/security-options.ts";
export type { ExecutorStatus } from "./executor.ts";
export { ExecutorApp, type ExecutorOptions, type HandleOptions } from "./executor-app.ts";
export { exitUnsettled, runUntilStopped } from "./run-main.ts";
export type { HandlerContext, HandlerFields, HandlerLog } from "./target/handler-context.ts";
export { HandlerError, type HandlerErrorOptions } from "./target/handler-error.ts";
export { type GenericService, genericMethod, type Handler } from "./target/typed-handler.ts";

/** Makes an executor. Give it its handlers, then start it. */
export function createExecutor(options: ExecutorOptions): ExecutorApp {
  return new ExecutorApp(options);
}
