import {
  type Executor as ExecutorMessage,
  ExecutorState,
  type ListExecutorsRequest,
  type MeshServiceService,
} from "../../../gen/jobmesh/v1/mesh_service.ts";
import type { ExecutorRecord } from "../../common/domain/executor.ts";
import type { Health } from "../../common/port/bus.ts";
import type { Registry } from "../../common/port/registry.ts";
import type { Store } from "../../common/port/store.ts";
import type { Handlers } from "../../common/rpc/contract.ts";
import { durationOfMs, timestampOfUs } from "../../common/wire/time.ts";
import type { MeshClock } from "../mesh-clock.ts";
import type { SchedulerViews } from "../scheduler-views.ts";
import { FieldFaults } from "./field-faults.ts";
import { cutPage, readPageSize } from "./page.ts";
import { withStoreErrors } from "./store-errors.ts";

/** A backend as GetMeshStatus names it. */
export type Backend = { readonly role: "registry" | "bus" | "store"; readonly kind: string; health(): Health };

/** What MeshService is made of. */
export type MeshServiceDeps = {
  readonly store: Store;
  readonly registry: Registry;
  readonly schedulers: SchedulerViews;
  readonly backends: readonly Backend[];
  readonly meshClock: MeshClock;
  /** Silence after which an executor is shown as suspect, in milliseconds. */
  readonly suspectAfterMs: number;
};

/** MeshService: shows the mesh itself. */
export function meshHandlers(deps: MeshServiceDeps): Handlers<typeof MeshServiceService> {
  return withStoreErrors<Handlers<typeof MeshServiceService>>({
    listExecutors: (request: ListExecutorsRequest) => listExecutors(deps, request),
    listSchedulers: () => listSchedulers(deps),
    getMeshStatus: () => getMeshStatus(deps),
  });
}

async function listExecutors(deps: MeshServiceDeps, request: ListExecutorsRequest) {
  const faults = new FieldFaults();
  const labels = Object.entries(faults.labels("labels", request.labels));
  const pageSize = readPageSize(faults, request.pageSize);
  faults.throwIfAny();
  const { states, namespace, capability } = request;
  const all = await deps.store.executors.live();
  const shown = all
    .map((record) => executorToMessage(deps, record))
    .filter((executor) => labels.every(([key, value]) => executor.labels[key] === value))
    .filter(({ namespaces }) => namespace === "" || namespaces.length === 0 || namespaces.includes(namespace))
    .filter(({ state }) => states.length === 0 || states.includes(state))
    .filter(({ capabilities }) => capability === "" || capabilities.includes(capability));
  const page = await cutPage(pageSize, request.pageToken, (size, token) => slice(shown, size, token), identity);
  return { executors: page.messages, nextPageToken: page.nextPageToken };
}

const identity = <T>(value: T): T => value;

/** A page of a list in memory; the token is the executor_id that the page before ended with. */
async function slice(all: readonly ExecutorMessage[], size: number, token: string | null) {
  const from = token === null ? 0 : all.findIndex(({ executorId }) => executorId === token) + 1;
  const items = all.slice(from, from + size);
  return { items, nextToken: from + size < all.length ? (items.at(-1)?.executorId ?? null) : null };
}

function executorToMessage(deps: MeshServiceDeps, record: ExecutorRecord): ExecutorMessage {
  const suspect = deps.meshClock.nowUs() - record.heardUs > deps.suspectAfterMs * 1000;
  return {
    executorId: record.executorId,
    state: record.draining
      ? ExecutorState.EXECUTOR_STATE_DRAINING
      : suspect
        ? ExecutorState.EXECUTOR_STATE_SUSPECT
        : ExecutorState.EXECUTOR_STATE_ACTIVE,
    homeSchedulerId: record.home,
    version: record.version,
    labels: { ...record.labels },
    capabilities: record.capabilities.map((capability) =>
      capability.kind === "handler" ? capability.method : capability.kind,
    ),
    slots: record.slots,
    runningCount: record.slots - record.freeSlots,
    registrationTime: timestampOfUs(record.registeredUs),
    lastHeartbeatTime: timestampOfUs(record.heardUs),
    cpuLoad: record.cpuLoad,
    memoryBytes: BigInt(record.memoryBytes),
    namespaces: [...record.namespaces],
    clockOffset: undefined,
  };
}

async function listSchedulers(deps: MeshServiceDeps) {
  const executors = await deps.store.executors.live();
  return {
    schedulers: deps.schedulers.all().map((view) => ({
      schedulerId: view.schedulerId,
      address: view.address,
      version: view.version,
      shardCount: view.shardCount,
      sessionCount: executors.filter(({ home }) => home === view.schedulerId).length,
      startTime: timestampOfUs(view.startUs),
    })),
  };
}

/** Answers also while backends are away: that is when people ask. */
async function getMeshStatus(deps: MeshServiceDeps) {
  const read = await Promise.all([deps.store.counts(), deps.store.executors.live()]).catch(() => null);
  const [counts, executors] = read ?? [null, []];
  const active = executors.filter(({ draining }) => !draining);
  const oldestUs = counts?.oldestReadyUs ?? null;
  return {
    jobCount: BigInt(counts?.jobs ?? 0),
    scheduledCount: BigInt(counts?.scheduled ?? 0),
    readyCount: BigInt(counts?.ready ?? 0),
    runningCount: BigInt(counts?.running ?? 0),
    readyAgeMax: oldestUs === null ? undefined : durationOfMs(Math.max(deps.meshClock.nowUs() - oldestUs, 0) / 1000),
    freeSlotCount: BigInt(active.reduce((sum, { freeSlots }) => sum + freeSlots, 0)),
    slotCount: BigInt(active.reduce((sum, { slots }) => sum + slots, 0)),
    backends: deps.backends.map(({ role, kind, health }) => ({ role, kind, ...health() })),
  };
}
