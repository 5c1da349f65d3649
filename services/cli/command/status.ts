import type {
  Executor,
  ExecutorState,
  GetMeshStatusResponse,
  Scheduler,
} from "../../../gen/jobmesh/v1/mesh_service.ts";
import { executorStateToJSON, ListExecutorsRequest } from "../../../gen/jobmesh/v1/mesh_service.ts";
import type { MeshClient } from "../../client/mesh-client.ts";
import { msOfDuration } from "../../common/wire/time.ts";
import { withConnection } from "../connection.ts";
import { refuseArguments } from "../no-arguments.ts";
import { renderTable } from "../table.ts";

/** Executors shown. */
const MAX_EXECUTORS = 1_000;

/** `jobmesh status`: exits with 1 when a backend is away. */
export function run(argv: readonly string[]): Promise<number> {
  return withConnection(argv, "jobmesh status [options]", async ({ client: { mesh }, rest }) => {
    refuseArguments("status", rest);
    const [status, { schedulers }, executors] = await Promise.all([
      mesh.getMeshStatus({}),
      mesh.listSchedulers({}),
      firstExecutors(mesh),
    ]);
    process.stdout.write(
      `${[...summary(status), "", ...schedulerTable(schedulers), "", ...executorTable(executors)].join("\n")}\n`,
    );
    return status.backends.every(({ healthy }) => healthy) ? 0 : 1;
  });
}

async function firstExecutors(mesh: MeshClient["mesh"]): Promise<Executor[]> {
  const executors: Executor[] = [];
  let pageToken = "";
  do {
    const request = ListExecutorsRequest.fromPartial({ pageSize: MAX_EXECUTORS - executors.length, pageToken });
    const page = await mesh.listExecutors(request);
    executors.push(...page.executors);
    pageToken = page.nextPageToken;
  } while (pageToken !== "" && executors.length < MAX_EXECUTORS);
  return executors;
}

function summary(status: GetMeshStatusResponse): string[] {
  const age =
    status.readyAgeMax === undefined ? "" : `, the oldest for ${Math.round(msOfDuration(status.readyAgeMax))} ms`;
  const backends = status.backends.map(({ role, kind, healthy, message }) =>
    healthy ? `${role} ${kind}: healthy` : `${role} ${kind}: AWAY (${message})`,
  );
  return [
    ...backends,
    `jobs: ${status.jobCount}`,
    `executions: ${status.scheduledCount} scheduled, ${status.readyCount} ready${age}, ${status.runningCount} running`,
    `slots: ${status.freeSlotCount} free of ${status.slotCount}`,
  ];
}

function schedulerTable(schedulers: readonly Scheduler[]): string[] {
  const rows = schedulers.map((one) => [
    one.schedulerId,
    one.address,
    String(one.shardCount),
    String(one.sessionCount),
    one.version,
  ]);
  return renderTable(["SCHEDULER", "ADDRESS", "SHARDS", "SESSIONS", "VERSION"], rows);
}

function executorTable(executors: readonly Executor[]): string[] {
  const rows = executors.map((one) => [
    one.executorId,
    stateName(one.state),
    `${one.runningCount}/${one.slots}`,
    one.homeSchedulerId,
    one.capabilities.join(" "),
  ]);
  return renderTable(["EXECUTOR", "STATE", "RUNNING", "HOME", "RUNS"], rows);
}

function stateName(state: ExecutorState): string {
  return executorStateToJSON(state).replace("EXECUTOR_STATE_", "");
}
