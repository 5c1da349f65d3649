/**
 * Calls the handler of main.ts by a typed request, and shows its typed answer.
 * Run it beside `npm start` and main.ts: node examples/report/submit.ts
 */
import { handler, JobmeshError, MeshClient } from "jobmesh/client";
import { ReportServiceService } from "./gen/acme/report/v1/report_service.ts";

const client = new MeshClient({ target: process.env.JOBMESH_SCHEDULER ?? "127.0.0.1:7070" });
try {
  const request = { title: "March", rows: [{ name: "orders", amount: 7n }] };
  const { executionId } = await client.submit({ target: handler(ReportServiceService.render, request) });
  const { result, error } = await client.waitUntilEnded(executionId);
  if (error !== undefined) throw new JobmeshError("REMOTE", { message: error.message });
  const response = ReportServiceService.render.responseDeserialize(result);
  console.log(response.text);
} finally {
  client.close();
}
