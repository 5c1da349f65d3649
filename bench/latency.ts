import { setTimeout as sleep } from "node:timers/promises";
import { RenderRequest, ReportServiceService } from "../examples/report/gen/acme/report/v1/report_service.ts";
import type { MeshClient } from "../services/client/mesh-client.ts";
import { handler } from "../services/client/targets.ts";
import type { BenchMesh } from "./mesh.ts";
import { type Latencies, latenciesOf } from "./statistics.ts";

/** Between two looks at whether all have run. */
const POLL_MS = 15;

/** From the call of SubmitExecution to the start of its handler: each comes when the one before has ended. */
export async function measureStart(mesh: BenchMesh, client: MeshClient, submissions: number): Promise<Latencies> {
  await mesh.report();
  const target = handler(ReportServiceService.render, RenderRequest.fromPartial({}));
  const sentUs = new Map<string, number>();
  for (let submitted = 0; submitted < submissions; submitted += 1) {
    const nowUs = (performance.timeOrigin + performance.now()) * 1000;
    const { executionId } = await client.submit({ target });
    sentUs.set(executionId, nowUs);
    await client.waitUntilEnded(executionId);
  }
  while ((await mesh.count()) < submissions) await sleep(POLL_MS);
  const { starts } = await mesh.report();
  return latenciesOf(
    starts.flatMap(([id, startUs]) => (sentUs.has(id) ? [(startUs - (sentUs.get(id) ?? 0)) / 1000] : [])),
  );
}
