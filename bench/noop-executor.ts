/** An executor whose handler does nothing, in a process of its own. Forked by mesh.ts with a data folder and slots. */
import { RenderResponse, ReportServiceService } from "../examples/report/gen/acme/report/v1/report_service.ts";
import { createExecutor } from "../services/executor/index.ts";
import { descriptors } from "./noop-handler.ts";
import { RunRecord, serveRecord } from "./run-record.ts";

const [dataDir = "", slots = "1"] = process.argv.slice(2);
const record = new RunRecord();
const answer = RenderResponse.fromPartial({});
const executor = createExecutor({ executorId: "bench", dataDir, slots: Number(slots), descriptors }).handle(
  ReportServiceService.render,
  async (_request, context) => {
    record.note(context.executionId);
    return answer;
  },
);
await executor.start();
serveRecord(record, () => executor.stop());
process.send?.({ kind: "ready" });
