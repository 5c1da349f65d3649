/** Every target learns who it is (the contract's comment on Target): one table, a kind is a row. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { HttpTarget, Target as TargetMessage } from "../../../gen/jobmesh/v1/job.ts";
import type { AttemptResult } from "../../../services/common/domain/attempt.ts";
import type { DispatchOrder } from "../../../services/common/domain/dispatch.ts";
import type { ExecutionId, Fence } from "../../../services/common/domain/identifier.ts";
import { silentLogger } from "../../../services/common/runtime/log.ts";
import { SystemClock } from "../../../services/common/runtime/system-clock.ts";
import { SystemRandom } from "../../../services/common/runtime/system-random.ts";
import { targetOfBytes } from "../../../services/common/wire/target-head.ts";
import { Spawner } from "../../../services/executor/spawner/spawner.ts";
import { SystemSpawnerHost } from "../../../services/executor/spawner/system-spawner-host.ts";
import { CommandRunner } from "../../../services/executor/target/command-runner.ts";
import { GrpcRunner } from "../../../services/executor/target/grpc.ts";
import { HandlerRunner } from "../../../services/executor/target/handler.ts";
import { HttpRunner } from "../../../services/executor/target/http-runner.ts";
import type { TargetRunner } from "../../../services/executor/target-runner.ts";
import { guard, noSecrets, RENDER, startServer, textOf } from "../executor-grpc/setup.ts";
import { targetServer } from "../executor-http/setup.ts";
import { setup, WAYS } from "./setup.ts";

/** What a target says that it was told. */
type Identity = {
  readonly executionId: string;
  readonly attempt: number;
  readonly maxAttempts: number;
  readonly namespace: string;
  readonly jobId: string;
  readonly scheduledTime: string;
  readonly idempotencyKey: string;
  readonly traceparent: string;
};

/** A kind of target that answers with what it was told. */
type Kind = {
  readonly name: string;
  make(t: TestContext): Promise<{ readonly runner: TargetRunner; readonly target: NonNullable<TargetMessage["kind"]> }>;
  /** Reads it from the result. */
  said(result: AttemptResult): Identity;
};

const clock = new SystemClock();

const command: Kind = {
  name: "command",
  make: async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "jobmesh-identity-"));
    const deps = { clock, random: new SystemRandom(), log: silentLogger };
    const spawner = new Spawner({ ...deps, host: new SystemSpawnerHost(folder) }, { silenceMs: null });
    await spawner.start();
    t.after(async () => {
      await spawner.stop();
      rmSync(folder, { recursive: true, force: true });
    });
    const environment = { PATH: process.env.PATH ?? "/bin" };
    const runner = new CommandRunner(spawner, { environment, killGraceMs: 500, maxOutputBytes: 65_536 });
    const value = { command: "env", args: [], env: {}, workingDirectory: "", input: undefined };
    return { runner, target: { $case: "command", value } };
  },
  said: ({ output }) => {
    const variables = new Map(output.split("\n").map((line) => line.split("=", 2) as [string, string]));
    return identityOf((name) => variables.get(`JOBMESH_${name.toUpperCase()}`), variables.get("TRACEPARENT"));
  },
};

const handler: Kind = {
  name: "handler",
  make: async () => {
    const runner = new HandlerRunner(clock, {
      method: "test.Who/Am",
      slots: 0,
      descriptorHash: "",
      decode: (bytes) => bytes,
      encodeJson: null,
      encode: (answer) => Buffer.from(JSON.stringify(answer)),
      run: (_request, context) => ({
        executionId: context.executionId,
        attempt: context.attempt,
        maxAttempts: context.maxAttempts,
        namespace: context.namespace,
        jobId: context.jobId,
        scheduledTime: context.scheduledTime.toISOString(),
        idempotencyKey: context.idempotencyKey,
        traceparent: context.traceparent,
      }),
    });
    return { runner, target: { $case: "handler", value: { method: "test.Who/Am", payload: undefined } } };
  },
  said: ({ outcome }) => {
    assert.ok(outcome.kind === "succeeded", JSON.stringify(outcome));
    return JSON.parse(Buffer.from(outcome.result).toString());
  },
};

const grpc: Kind = {
  name: "grpc",
  make: async (t) => {
    const { address } = await startServer(t, {
      render: ({ metadata }, answer) => answer(null, { text: JSON.stringify(metadata.getMap()), sum: 0n }),
    });
    const value = { address, method: RENDER, payload: undefined, metadata: {}, tls: undefined };
    return { runner: new GrpcRunner({ clock, guard, secrets: noSecrets }), target: { $case: "grpc", value } };
  },
  said: ({ outcome }) => {
    const metadata: Record<string, string> = JSON.parse(textOf(outcome));
    return identityOf((name) => metadata[`jobmesh-${name.replaceAll("_", "-")}`], metadata.traceparent);
  },
};

const http: Kind = {
  name: "http",
  make: async (t) => {
    const server = await targetServer(t, ({ headers }, response) => response.end(JSON.stringify(headers)));
    const runner = new HttpRunner({ clock, guard }, { version: "1.2.3" });
    return { runner, target: { $case: "http", value: HttpTarget.fromPartial({ url: server.url }) } };
  },
  said: ({ outcome }) => {
    assert.ok(outcome.kind === "succeeded", JSON.stringify(outcome));
    const headers: Record<string, string> = JSON.parse(Buffer.from(outcome.result).toString());
    const nameOf = (name: string): string =>
      name === "idempotency_key" ? "idempotency-key" : `jobmesh-${name.replaceAll("_", "-")}`;
    return identityOf((name) => headers[nameOf(name)], headers.traceparent);
  },
};

const kinds: readonly Kind[] = [command, handler, grpc, http];

for (const way of WAYS) {
  for (const kind of kinds) {
    test(`a ${kind.name} learns who it is, by ${way}`, { timeout: 30_000 }, async (t) => {
      const { runner, target } = await kind.make(t);
      const ended = Promise.withResolvers<void>();
      const rig = await setup(t, { way, moreRunners: () => [tellingEnd(runner, ended.resolve)] });
      const given = {
        key: { executionId: "018f0000-0000-7000-8000-00000000000a" as ExecutionId, attempt: 2, fence: 5n as Fence },
        maxAttempts: 3,
        namespace: "billing",
        jobId: "monthly-report",
        scheduledUs: Date.UTC(2031, 1, 3, 4, 5, 6, 789) * 1_000,
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
        target: targetOfBytes(TargetMessage.encode({ kind: target }).finish()),
      } satisfies Partial<DispatchOrder>;
      await rig.dispatch(rig.order(given));
      await ended.promise;
      await rig.clock.advance(1_000);
      assert.deepEqual(kind.said(rig.result(given.key)), {
        executionId: given.key.executionId,
        attempt: 2,
        maxAttempts: 3,
        namespace: "billing",
        jobId: "monthly-report",
        scheduledTime: "2031-02-03T04:05:06.789Z",
        idempotencyKey: given.key.executionId,
        traceparent: given.traceparent,
      });
    });
  }
}

/** The same runner, which tells when an attempt has ended. */
function tellingEnd(runner: TargetRunner, onEnded: () => void): TargetRunner {
  return {
    capability: runner.capability,
    keepsTimeout: runner.keepsTimeout,
    run: async (attempt) => {
      try {
        return await runner.run(attempt);
      } finally {
        setImmediate(onEnded);
      }
    },
    close: () => runner.close?.(),
  };
}

/** An identity of texts under names such as `execution_id`. */
function identityOf(text: (name: string) => string | undefined, traceparent: string | undefined): Identity {
  return {
    executionId: text("execution_id") ?? "",
    attempt: Number(text("attempt")),
    maxAttempts: Number(text("max_attempts")),
    namespace: text("namespace") ?? "",
    jobId: text("job_id") ?? "",
    scheduledTime: text("scheduled_time") ?? "",
    idempotencyKey: text("idempotency_key") ?? "",
    traceparent: traceparent ?? "",
  };
}
