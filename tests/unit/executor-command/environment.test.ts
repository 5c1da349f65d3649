import assert from "node:assert/strict";
import { test } from "node:test";
import {
  allowedEnvironment,
  type CommandAttempt,
  commandEnvironment,
  DEFAULT_ALLOWED_ENVIRONMENT,
} from "../../../services/executor/target/command-environment.ts";

const attempt: CommandAttempt = {
  key: { executionId: "0190-a", attempt: 2 },
  maxAttempts: 5,
  namespace: "default",
  jobId: "nightly",
  scheduledUs: 1_767_225_600_123_456,
  labels: { "team.name": "ops" },
  traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
};

test("of the executor's environment only what is allowed reaches a command", () => {
  const own = {
    PATH: "/bin",
    LC_ALL: "C",
    LC_TIME: "de_DE",
    LCX: "no",
    PASSWORD: "no",
    NODE_OPTIONS: "no",
    HOME: undefined,
  };
  assert.deepEqual(allowedEnvironment(own, DEFAULT_ALLOWED_ENVIRONMENT), {
    PATH: "/bin",
    LC_ALL: "C",
    LC_TIME: "de_DE",
  });
  assert.deepEqual(allowedEnvironment(own, []), {});
});

test("a command is told who it is", () => {
  assert.deepEqual(commandEnvironment({}, {}, attempt), {
    JOBMESH_EXECUTION_ID: "0190-a",
    JOBMESH_ATTEMPT: "2",
    JOBMESH_MAX_ATTEMPTS: "5",
    JOBMESH_JOB_ID: "nightly",
    JOBMESH_NAMESPACE: "default",
    JOBMESH_SCHEDULED_TIME: "2026-01-01T00:00:00.123Z",
    JOBMESH_IDEMPOTENCY_KEY: "0190-a",
    JOBMESH_SHARD_INDEX: "0",
    JOBMESH_SHARD_COUNT: "0",
    JOBMESH_LABEL_TEAM_NAME: "ops",
    TRACEPARENT: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
  });
});

test("the target's variables go over the executor's, and what a command is told over the target's", () => {
  const environment = commandEnvironment({ PATH: "/bin", TZ: "UTC" }, { PATH: "/own", JOBMESH_ATTEMPT: "99" }, attempt);
  assert.equal(environment.PATH, "/own");
  assert.equal(environment.TZ, "UTC");
  assert.equal(environment.JOBMESH_ATTEMPT, "2");
});

test("parameters and labels have names that a shell can read", () => {
  const parameters = { region: "eu", "max-rows": "10", max_rows: "11", größe: "x" };
  const environment = commandEnvironment(
    {},
    {},
    { ...attempt, parameters, shardIndex: 3, shardCount: 8, traceparent: "" },
  );
  assert.equal(environment.JOBMESH_PARAMETER_REGION, "eu");
  assert.equal(environment.JOBMESH_PARAMETER_MAX_ROWS, "11", "of equal names the last in byte order stands");
  assert.equal(environment.JOBMESH_PARAMETER_GR__E, "x");
  assert.equal(environment.JOBMESH_SHARD_INDEX, "3");
  assert.equal(environment.JOBMESH_SHARD_COUNT, "8");
  assert.ok(!("TRACEPARENT" in environment));
});
