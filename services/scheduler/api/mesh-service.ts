import {
  type DrainExecutorRequest,
  Executor as ExecutorMessage,
  ExecutorState,
  type ListExecutorsRequest,
  type ListHandlersRequest,
  type MeshServiceService,
  type PutDescriptorsRequest,
  Scheduler as SchedulerMessage,
} from "../../../gen/jobmesh/v1/mesh_service.ts";
import type { ExecutorRecord } from "../../common/domain/executor.ts";
import type { ExecutorId } from "../../common/domain/identifier.ts";
import { JobmeshError } from "../../common/error/jobmesh-error.ts";
import type { Health } from "../../common/port/bus.ts";
import type { Clock } from "../../common/port/clock.ts";
import type { Registry } from "../../common/port/registry.ts";
import { type Store, StoreUnavailable } from "../../common/port/store.ts";
import type { Handlers } from "../../common/rpc/contract.ts";
import { durationOfMs, timestampOfUs } from "../../common/wire/time.ts";
import type { Hints } from "../hints.ts";
import type { MeshClock } from "../mesh-clock.ts";
import type { SchedulerViews } from "../scheduler-views.ts";
import { putDescriptors } from "./descriptor-put.ts";
import { executorPage } from "./executor-page.ts";
import { FieldFaults } from "./field-faults.ts";
import { listHandlers } from "./handler-list.ts";
import type { KnownTypes } from "./known-types.ts";
import { countFitting, cutPage, readPageSize } from "./page.ts";
import { withStoreErrors } from "./store-errors.ts";

/** A backend as GetMeshStatus names it. */
export type Backend = { readonly role: "registry" | "bus" | "store"; readonly kind: string; health(): Health };

/** Characters of a capability: a handler's full method name is the longest. */
const MAX_CAPABILITY_CHARACTERS = 255;
/** How long attempts of a drained executor may run on: an hour unless the call says, a week at most. */
const DRAIN_GRACE = { minMs: 0, maxMs: 7 * 86_400_000, unsetMs: 3_600_000 };
/** States that an executor of a list can have. */
const SHOWN_STATES: readonly ExecutorState[] = [
  ExecutorState.EXECUTOR_STATE_ACTIVE,
  ExecutorState.EXECUTOR_STATE_SUSPECT,
  ExecutorState.EXECUTOR_STATE_DRAINING,
];

/** Between two looks at whether a store that has not answered yet is known to be away. */
const LOOK_MS = 100;
const LATE = Symbol("late");

/** What MeshService is made of. */
export type MeshServiceDeps = {
  readonly store: Store;
  readonly hints: Hints;
  readonly registry: Registry;
  readonly schedulers: SchedulerViews;
  readonly backends: readonly Backend[];
  readonly meshClock: MeshClock;
  readonly types: KnownTypes;
  readonly clock: Clock;
  /** Silence after which an executor is shown as suspect, in milliseconds. */
  readonly suspectAfterMs: number;
};

/** MeshService: shows the mesh itself. */
export function meshHandlers(deps: MeshServiceDeps): Handlers<typeof MeshServiceService> {
  return withStoreErrors<Handlers<typeof MeshServiceService>>({
    listExecutors: (request: ListExecutorsRequest) => listExecutors(deps, request),
    drainExecutor: (request: DrainExecutorRequest) => drainExecutor(deps, request),
    listSchedulers: () => listSchedulers(deps),
    getMeshStatus: () => getMeshStatus(deps),
    putDescriptors: (request: PutDescriptorsRequest) => putDescriptors(deps.store, request),
    listHandlers: (request: ListHandlersRequest) => listHandlers(deps, request),
  });
}

async function listExecutors(deps: MeshServiceDeps, request: ListExecutorsRequest) {
  const faults = new FieldFaults();
  const labels = Object.entries(faults.labels("labels", request.labels));
  const pageSize = readPageSize(faults, request.pageSize);
  const namespace = faults.identifier("namespace", request.namespace, "");
  const capability = faults.text("capability", request.capability, MAX_CAPABILITY_CHARACTERS);
  const { states } = request;
  states.forEach((state, index) => {
    if (!SHOWN_STATES.includes(state)) faults.add(`states[${index}]`, `${state} is no state of an executor`);
  });
  faults.throwIfAny();
  const all = await deps.store.executors.live();
  const shown = all
    .filter((record) => labels.every(([key, value]) => record.labels[key] === value))
    .filter(({ namespaces }) => namespace === "" || namespaces.length === 0 || namespaces.includes(namespace))
    .filter((record) => states.length === 0 || states.includes(stateOf(deps, record)))
    .filter((record) => capability === "" || capabilityNames(record).includes(capability));
  const page = await cutPage(pageSize, request.pageToken, async (size, token) => executorPage(shown, size, token), {
    toMessage: (record) => executorToMessage(deps, record),
    type: ExecutorMessage,
  });
  return { executors: page.messages, nextPageToken: page.nextPageToken };
}

/** The flag is stored, so that any scheduler may be asked; the executor's home sends it. */
async function drainExecutor(deps: MeshServiceDeps, request: DrainExecutorRequest) {
  const faults = new FieldFaults();
  const executorId = faults.identifier("executor_id", request.executorId, null);
  const graceMs = faults.durationMs("grace", request.grace, DRAIN_GRACE);
  faults.throwIfAny();
  const record = await deps.store.executors.drain(executorId as ExecutorId, graceMs);
  if (record === null) throw new JobmeshError("EXECUTOR_NOT_FOUND", { metadata: { executor_id: executorId } });
  deps.hints.tell({ kind: "drain", executorId: record.executorId });
  return { executor: executorToMessage(deps, record) };
}

function stateOf(deps: MeshServiceDeps, { draining, heardUs }: ExecutorRecord): ExecutorState {
  if (draining) return ExecutorState.EXECUTOR_STATE_DRAINING;
  const isSilent = deps.meshClock.nowUs() - heardUs > deps.suspectAfterMs * 1000;
  return isSilent ? ExecutorState.EXECUTOR_STATE_SUSPECT : ExecutorState.EXECUTOR_STATE_ACTIVE;
}

function capabilityNames({ capabilities }: ExecutorRecord): string[] {
  return capabilities.map((capability) => (capability.kind === "handler" ? capability.method : capability.kind));
}

function executorToMessage(deps: MeshServiceDeps, record: ExecutorRecord): ExecutorMessage {
  return {
    executorId: record.executorId,
    state: stateOf(deps, record),
    homeSchedulerId: record.home,
    version: record.version,
    labels: { ...record.labels },
    capabilities: capabilityNames(record),
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

/**
 * Who lives is the registry's to say: without the store only the sessions are
 * not counted. The list has no pages: it ends at 1 MiB, which is thousands.
 */
async function listSchedulers(deps: MeshServiceDeps) {
  const executors = (await unlessAway(deps, deps.store.executors.live())) ?? [];
  const schedulers = deps.schedulers.all().map((view) => ({
    schedulerId: view.schedulerId,
    address: view.address,
    version: view.version,
    shardCount: view.shardCount,
    sessionCount: executors.filter(({ home }) => home === view.schedulerId).length,
    startTime: timestampOfUs(view.startUs),
  }));
  return { schedulers: schedulers.slice(0, countFitting(schedulers, SchedulerMessage)) };
}

/** Answers also while backends are away: that is when people ask. */
async function getMeshStatus(deps: MeshServiceDeps) {
  const read = await unlessAway(deps, Promise.all([deps.store.counts(), deps.store.executors.live()]));
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

/**
 * null while the store is away. One that is silent is not waited for longer than it takes to know that: a statement
 * has seconds, and people ask just then.
 */
async function unlessAway<T>({ clock, backends }: MeshServiceDeps, reading: Promise<T>): Promise<T | null> {
  const read = reading.catch((error: unknown) => {
    if (error instanceof StoreUnavailable) return null;
    throw error;
  });
  const isAway = (): boolean => backends.some(({ role, health }) => role === "store" && !health().healthy);
  for (;;) {
    const over = new AbortController();
    const late = clock.sleep(LOOK_MS, over.signal).then(() => LATE);
    const first = await Promise.race([read, late]).finally(() => over.abort());
    if (first !== LATE) return first as T | null;
    if (isAway()) return null;
  }
}
