/**
 * An executor program for tests of traces: its handler answers with the trace
 * context that it was given, and fails before the attempt that the title names.
 */
import { readFileSync } from "node:fs";
import { ReportServiceService } from "../../examples/report/gen/acme/report/v1/report_service.ts";
import { createExecutor, exitUnsettled, HandlerError, runUntilStopped } from "../../services/executor/index.ts";

const descriptors = readFileSync(new URL("../../examples/report/gen/descriptors.binpb", import.meta.url));

const executor = createExecutor({ descriptors, allowCommands: true, exitProcess: exitUnsettled }).handle(
  ReportServiceService.render,
  (request, context) => {
    if (context.attempt < Number(request.title)) throw new HandlerError("NOT_YET", "fails before its time");
    return { text: context.traceparent, sum: 0n };
  },
);

await runUntilStopped(executor);
