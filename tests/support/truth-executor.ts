/**
 * An executor program for system tests: commands, and a handler that writes
 * the truth, a line at each start and each end, to an append-only file outside
 * the mesh. The request's title is the file; its rows say how the run goes:
 * "ms" how long, "fail_until" the attempt before which it fails.
 */
import { appendFileSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { ReportServiceService } from "../../examples/report/gen/acme/report/v1/report_service.ts";
import { createExecutor, exitUnsettled, HandlerError, runUntilStopped } from "../../services/executor/index.ts";

const descriptors = readFileSync(new URL("../../examples/report/gen/descriptors.binpb", import.meta.url));

const executor = createExecutor({
  descriptors,
  allowCommands: true,
  allowGrpc: true,
  allowHttp: true,
  exitProcess: exitUnsettled,
}).handle(ReportServiceService.render, async (request, context) => {
  const said = (name: string): number => Number(request.rows.find((row) => row.name === name)?.amount ?? 0n);
  const note = (word: string): void =>
    appendFileSync(request.title, `${context.executionId} ${context.attempt} ${word}\n`);
  note("start");
  await sleep(said("ms"), undefined, { signal: context.signal }).catch(() => {});
  if (context.signal.aborted) {
    note("aborted");
    throw new HandlerError("ABORTED", "told to end");
  }
  note("end");
  if (context.attempt < said("fail_until")) throw new HandlerError("NOT_YET", "fails before its time");
  return { text: "", sum: 0n };
});

await runUntilStopped(executor);
