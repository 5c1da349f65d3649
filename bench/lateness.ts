import { setTimeout as sleep } from "node:timers/promises";
import { RenderRequest, ReportServiceService } from "../examples/report/gen/acme/report/v1/report_service.ts";
import { Job } from "../gen/jobmesh/v1/job.ts";
import { CreateJobRequest } from "../gen/jobmesh/v1/job_service.ts";
import type { MeshClient } from "../services/client/mesh-client.ts";
import { handler } from "../services/client/targets.ts";
import { timestampOfUs } from "../services/common/wire/time.ts";
import type { BenchMesh } from "./mesh.ts";
import { type Latencies, latenciesOf } from "./statistics.ts";

/** How late fires start, and whether any was lost or doubled. */
export type Lateness = Latencies & { readonly lost: number; readonly doubled: number };

/** Time between the creation of jobs and their first fire. */
const AHEAD_MS = 3_000;
/** How long after the last fire its start is waited for. */
const PATIENCE_MS = 5_000;

/** Jobs that are due at the same second, once. */
export async function measureSameSecond(mesh: BenchMesh, client: MeshClient, jobs: number): Promise<Lateness> {
  await mesh.report();
  const atMs = Math.ceil((Date.now() + AHEAD_MS) / 1000) * 1000;
  const target = handler(ReportServiceService.render, RenderRequest.fromPartial({}));
  const schedule = { when: { $case: "at", value: timestampOfUs(atMs * 1000) } } as const;
  for (let made = 0; made < jobs; made += 1) {
    await client.jobs.createJob(CreateJobRequest.fromPartial({ job: Job.fromPartial({ target, schedule }) }));
  }
  await sleep(Math.max(atMs - Date.now(), 0));
  return await latenessOf(mesh, jobs);
}

/** One cron that fires each second. */
export async function measureEachSecond(mesh: BenchMesh, client: MeshClient, seconds: number): Promise<Lateness> {
  await mesh.report();
  const firstMs = Math.ceil((Date.now() + 1_000) / 1000) * 1000;
  const target = handler(ReportServiceService.render, RenderRequest.fromPartial({}));
  const schedule = {
    when: { $case: "cron", value: "* * * * * *" },
    startTime: timestampOfUs(firstMs * 1000),
    endTime: timestampOfUs((firstMs + seconds * 1000) * 1000),
  } as const;
  await client.jobs.createJob(CreateJobRequest.fromPartial({ job: Job.fromPartial({ target, schedule }) }));
  await sleep(firstMs + (seconds - 1) * 1000 - Date.now());
  return await latenessOf(mesh, seconds);
}

async function latenessOf(mesh: BenchMesh, fires: number): Promise<Lateness> {
  const untilMs = performance.now() + PATIENCE_MS;
  while ((await mesh.count()) < fires && performance.now() < untilMs) await sleep(20);
  const { starts, doubled } = await mesh.report();
  const latenessMs = starts.map(([executionId, startUs]) => startUs / 1000 - nominalMs(executionId));
  return { ...latenciesOf(latenessMs), lost: fires - starts.length, doubled };
}

/** The first 48 bits of an execution's identifier are its nominal time. */
function nominalMs(executionId: string): number {
  return Number.parseInt(executionId.replace("-", "").slice(0, 12), 16);
}
