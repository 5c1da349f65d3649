/** Valid requests of the contract's calls, as canonical JSON: what a fuzzer spoils. */
import type { JsonObject } from "@bufbuild/protobuf";
import { descriptorSet } from "../descriptor-sets.ts";

const TIME = "2031-01-02T03:04:05Z";
const NEVER = { executorLabels: { zone: "nowhere" } };
const RETRY = {
  ...{ maxAttempts: 2, initialInterval: "0.050s", multiplier: 2, maxInterval: "1s", jitter: 0.5, maxDuration: "60s" },
  nonRetryableReasons: ["A_REASON"],
};
const POLICY = {
  ...{ priority: 3, timeout: "10s", startDeadline: "60s", retry: RETRY, maxConcurrency: 2, maxLosses: 2 },
  ...{ lostPolicy: "LOST_POLICY_FAIL", retention: "3600s", failedRetention: "7200s" },
};
const COMMAND = { command: { command: "true", args: ["a"], env: { A: "b" }, stdinText: "in" } };
const HTTP = { http: { url: "http://127.0.0.1:1/", method: "POST", headers: { "x-a": "b" }, json: { a: [1, null] } } };
const GRPC = { grpc: { address: "127.0.0.1:1", method: "a.B/C", request: "", metadata: { a: "b" } } };
const GRPC_JSON = { grpc: { address: "127.0.0.1:1", method: "a.B/C", requestJson: { a: { b: ["c"] } } } };
const HANDLER = { handler: { method: "acme.report.v1.ReportService/Render", requestJson: { title: "t", rows: [] } } };
const HANDLER_BYTES = { handler: { method: "acme.report.v1.ReportService/Render", request: "CgF0" } };
/** Only the fuzzer's own executors have it. */
const FAKED = { handler: { method: "a.B/C", request: "" } };
const TARGETS = [FAKED, COMMAND, HTTP, GRPC, GRPC_JSON, HANDLER, HANDLER_BYTES];
const NAMED = { namespace: "fuzz", jobId: "kept" };
const FILTER = {
  ...{ namespace: "fuzz", jobId: "kept", states: ["EXECUTION_STATE_READY", "EXECUTION_STATE_FAILED"] },
  ...{ causes: ["CAUSE_SUBMIT"], scheduledAfter: "2020-01-01T00:00:00Z", scheduledBefore: TIME, labels: { a: "b" } },
};
const SCHEDULES: readonly JsonObject[] = [
  { cron: "*/10 * * * *", timeZone: "Europe/Berlin", overlapPolicy: "OVERLAP_POLICY_QUEUE_ONE", jitter: "1s" },
  { interval: "60s", startTime: "2020-01-01T00:00:00Z", endTime: TIME, missedFirePolicy: "MISSED_FIRE_POLICY_SKIP" },
  { at: TIME, maxFires: "1" },
];
const JOBS = TARGETS.map((target, place): JsonObject => {
  const schedule = SCHEDULES[place % SCHEDULES.length] ?? {};
  return {
    ...{ namespace: "fuzz", jobId: `j${place % 3}`, name: "a job", description: "what it is for", target, schedule },
    ...{ policy: POLICY, labels: { a: "b" }, parameters: { p: "q" } },
  };
});
const SUBMISSIONS = TARGETS.flatMap((target): JsonObject[] => [
  { target, name: "fuzz", labels: { a: "b" }, parameters: { p: "q" }, policy: POLICY },
  { target, namespace: "fuzz", requestId: "r1", uniqueKey: "u1", uniquePolicy: "UNIQUE_POLICY_RETURN_EXISTING" },
  { target, namespace: "fuzz", scheduledTime: TIME, policy: { routing: NEVER } },
]);
const RUNS: readonly JsonObject[] = [
  { ...NAMED, requestId: "r2", parameters: { p: "q" }, uniqueKey: "u2", overlapPolicy: "OVERLAP_POLICY_ALLOW" },
  { ...NAMED, target: COMMAND, scheduledTime: TIME },
];

/** The valid requests of a method, "package.Service/Method", for an execution that is there; none for unknown ones. */
export function validRequests(method: string, executionId: string): readonly JsonObject[] {
  const [, service = "", name = ""] = /([^.]+)\/(.+)$/.exec(method) ?? [];
  switch (service) {
    case "JobService":
      return jobRequests(name);
    case "ExecutionService":
      return executionRequests(name, executionId);
    case "MeshService":
      return meshRequests(name);
    case "ExecutorService":
      return sessionMessages(executionId);
    case "PeerService":
      return hints(executionId);
    case "ServerReflection":
      return [{ listServices: "" }, { fileContainingSymbol: "jobmesh.v1.JobService" }, { fileByFilename: "a.proto" }];
    default:
      return name === "List" ? [{}] : [{ service: "jobmesh.v1.JobService" }];
  }
}

function jobRequests(name: string): readonly JsonObject[] {
  const schedules = SCHEDULES.map((schedule) => ({ schedule, afterTime: "2026-01-01T00:00:00Z", count: 5 }));
  switch (name) {
    case "CreateJob":
      return JOBS.flatMap((job) => [
        { job, requestId: "r1" },
        { job, validateOnly: true },
      ]);
    case "UpdateJob":
      return JOBS.flatMap((job) => [
        { job, updateMask: "name,policy.retry.maxAttempts,schedule" },
        { job, allowMissing: true },
      ]);
    case "ListJobs":
      return [{ namespace: "fuzz", labels: { a: "b" }, pageSize: 10, jobIdPrefix: "j", paused: false }];
    case "RunJob":
      return RUNS;
    case "PreviewSchedule":
      return schedules;
    case "DeleteJob":
      return [{ namespace: "fuzz", jobId: "j1", revision: "1", cancelExecutions: true, allowMissing: true }];
    case "PauseJob":
    case "ResumeJob":
      return [name === "PauseJob" ? { ...NAMED, jobId: "j2", reason: "why" } : { ...NAMED, jobId: "j2" }];
    case "BackfillJob":
    case "ExplainJob":
      return [{ ...NAMED, startTime: "2026-01-01T00:00:00Z", endTime: "2026-01-01T01:00:00Z" }];
    default:
      return [NAMED];
  }
}

function executionRequests(name: string, executionId: string): readonly JsonObject[] {
  switch (name) {
    case "SubmitExecution":
      return SUBMISSIONS;
    case "SubmitExecutions":
      return [
        ...SUBMISSIONS.map((submission, sequence) => ({ sequence: String(sequence), submission })),
        ...RUNS.map((run) => ({ sequence: "77", run })),
      ];
    case "ListExecutions":
      return [{ filter: FILTER, pageSize: 10, view: "EXECUTION_VIEW_FULL" }, { pageSize: 5 }];
    case "CountExecutions":
    case "CancelExecutions":
    case "RetryExecutions":
      return [{ filter: FILTER }];
    case "ListAttempts":
      return [{ executionId, pageSize: 10 }];
    case "CancelExecution":
      return [{ executionId, reason: "why" }];
    case "RetryExecution":
      return [{ executionId, requestId: "r3" }];
    case "WatchExecutions":
      return [{ filter: FILTER }, { executionId }];
    case "ReadLogs":
      return [
        { executionId, attempt: 1, streams: ["LOG_STREAM_STDOUT"] },
        { executionId, tailLines: "3" },
      ];
    case "GetExecution":
      return [
        { executionId, view: "EXECUTION_VIEW_FULL" },
        { executionId, waitUntilEnded: true },
      ];
    default:
      return [{ executionId }];
  }
}

function meshRequests(name: string): readonly JsonObject[] {
  switch (name) {
    case "ListExecutors":
      return [{ labels: { a: "b" }, pageSize: 10, states: ["EXECUTOR_STATE_ACTIVE"], capability: "command" }];
    case "DrainExecutor":
      return [{ executorId: "e1", grace: "1s" }];
    case "PutCalendar":
      return [{ calendar: { calendarId: "c1", namespace: "fuzz", timeZone: "UTC", days: ["2026-12-25"] } }];
    case "DeleteCalendar":
      return [{ calendarId: "c1", namespace: "fuzz" }];
    case "PutLimit":
      return [{ limit: { limitId: "l1", namespace: "fuzz", maxConcurrency: 2, maxRate: 5, ratePeriod: "1s" } }];
    case "DeleteLimit":
      return [{ limitId: "l1", namespace: "fuzz" }];
    case "PutDescriptors":
      return [{ namespace: "fuzz", descriptorSet: DESCRIPTOR_SET }];
    case "ListSchedulers":
    case "GetMeshStatus":
      return [{}];
    default:
      return [{ namespace: "fuzz", pageSize: 10 }];
  }
}

const SERVICE = descriptorSet({ pkg: "a", service: "B", methods: ["C"] });
/** The service a.B with its method C; bytes are in base64, as JSON has them. */
const DESCRIPTOR_SET = Buffer.from(SERVICE.bytes).toString("base64");
const DESCRIPTOR_HASH = Buffer.from(SERVICE.hash, "hex").toString("base64");

const KEY = { attempt: 1, fence: "7" };

function sessionMessages(executionId: string): readonly JsonObject[] {
  return [
    beat(1),
    ...reportsOf({ ...KEY, executionId }, { executorId: "e1", incarnation: "i1" }),
    { descriptors: { descriptorSets: [DESCRIPTOR_SET] } },
    { leaving: { reason: "bye" } },
  ];
}

function beat(sequence: number): JsonObject {
  return {
    heartbeat: { sequence: String(sequence), slots: [{ free: 3, receivedCount: "0" }], cpuLoad: 0.5, sendTime: TIME },
  };
}

/** What an executor may say of an attempt that it was given. */
export function reportsOf(key: JsonObject, executor: JsonObject): readonly JsonObject[] {
  const event = { key, ...executor, state: "EXECUTION_STATE_SUCCEEDED", output: "out", endTime: TIME };
  const failed = { ...event, state: "EXECUTION_STATE_FAILED", error: { code: 9, message: "no" }, exitCode: 3 };
  const returned = { key, ...executor, returnReason: "RETURN_REASON_CUT_OFF" };
  return [
    { attemptStarted: { key, startTime: TIME } },
    { attemptOutput: { key, stream: "LOG_STREAM_STDOUT", sequence: "1", data: "b3V0", time: TIME } },
    { attemptProgress: { key, fraction: 0.5, message: "half" } },
    { result: { sequence: "1", event } },
    { result: { sequence: "2", event: { ...failed, retryDelay: "0.010s" } } },
    { result: { sequence: "3", event: returned } },
  ];
}

/** Who the fuzzer's executor of a number is. @param number from 0, another for each session. */
export function fakeExecutor(number: number): { readonly executorId: string; readonly incarnation: string } {
  return { executorId: `f${number % EXECUTORS}`, incarnation: `life-${Math.floor(number / EXECUTORS)}` };
}

/** The Hello and the first heartbeat of that executor, which no scheduler has reason to refuse. */
export function firstWords(number: number): readonly JsonObject[] {
  const handler: JsonObject = { handler: { method: "a.B/C", descriptorHash: DESCRIPTOR_HASH, slots: 2 } };
  const previous = number < EXECUTORS ? "" : fakeExecutor(number - EXECUTORS).incarnation;
  const hello: JsonObject = {
    ...{ ...fakeExecutor(number), sessionNumber: String(number + 1), slots: 3, previousIncarnation: previous },
    ...{ capabilities: [handler, ...(number % 4 === 0 ? [{ command: true }] : [])], labels: { a: "b" } },
  };
  return [{ hello }, beat(1)];
}

/** Executors at once; a later session of one is a new life of it. */
const EXECUTORS = 400;

function hints(executionId: string): readonly JsonObject[] {
  return [
    { hint: { ready: { route: "default/command", maxPriority: 3, count: 2 } } },
    { hint: { free: { route: "default/command", slots: 2 } } },
    { hint: { stopExecutionId: executionId } },
    { hint: { endedExecutionId: executionId } },
    { hint: { changedJobUid: executionId } },
    { hint: { output: { key: { executionId, attempt: 1, fence: "7" }, sequence: "1", data: "b3V0" } } },
  ];
}
