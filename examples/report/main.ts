/**
 * An executor with a typed handler: ReportService.Render of its own proto.
 * Run it beside `npm start`: node examples/report/main.ts
 */
import { readFileSync } from "node:fs";
import { createExecutor, exitUnsettled, HandlerError, runUntilStopped } from "jobmesh/executor";
import { ReportServiceService } from "./gen/acme/report/v1/report_service.ts";

const executor = createExecutor({
  // JOBMESH_SCHEDULER and the other settings of docs/config.md are read where nothing is said here.
  slots: 4,
  descriptors: readFileSync(new URL("./gen/descriptors.binpb", import.meta.url)),
  exitProcess: exitUnsettled,
}).handle(ReportServiceService.render, async (request, context) => {
  if (request.rows.length === 0) {
    throw new HandlerError("NO_ROWS", "a report needs at least one row", { nonRetryable: true });
  }
  context.log.info("rendering", { title: request.title, attempt: context.attempt });
  const sum = request.rows.reduce((total, row) => total + row.amount, 0n);
  const lines = request.rows.map((row) => `${row.name}: ${row.amount}`);
  return { text: [request.title, ...lines, `sum: ${sum}`].join("\n"), sum };
});

await runUntilStopped(executor);
