import assert from "node:assert/strict";
import { test } from "node:test";
import { JobmeshError } from "../../../services/common/error/jobmesh-error.ts";
import { createLogger, LOG_LEVELS, type LogLevel } from "../../../services/common/runtime/log.ts";

function setup(level: LogLevel) {
  const lines: Record<string, unknown>[] = [];
  const write = (line: string): void => void lines.push(JSON.parse(line) as Record<string, unknown>);
  return { lines, log: createLogger({ level, serviceName: "jobmesh-test" }, { write }) };
}

test("a line is JSON with a constant message, its fields and those of the child", () => {
  const { lines, log } = setup("info");
  log.child({ executionId: "e" }).warn({ attempt: 2 }, "an attempt was handed back");
  const [line] = lines;
  assert.deepEqual(
    { ...line, time: undefined, pid: undefined },
    {
      level: "warn",
      serviceName: "jobmesh-test",
      executionId: "e",
      attempt: 2,
      message: "an attempt was handed back",
      time: undefined,
      pid: undefined,
    },
  );
  assert.match(String(line?.time), /^\d{4}-\d\d-\d\dT.*Z$/);
});

test("nothing below the level is written", () => {
  for (const [place, level] of LOG_LEVELS.entries()) {
    const { lines, log } = setup(level);
    log.debug({}, "debug");
    log.info({}, "info");
    log.warn({}, "warn");
    log.error({}, "error");
    assert.deepEqual(
      lines.map(({ message }) => message),
      LOG_LEVELS.slice(place, 4),
    );
  }
});

test("an error is written with its stack and its cause", () => {
  const { lines, log } = setup("error");
  log.error({ err: new JobmeshError("INTERNAL", { cause: new TypeError("beneath") }) }, "failed");
  const err = lines[0]?.err as { message: string; stack: string };
  assert.match(err.stack, /caused by: TypeError: beneath/);
});

test("a message cannot forge a second line", () => {
  const { lines, log } = setup("info");
  log.info({ name: 'x"}\n{"level":"error"' }, "named");
  assert.equal(lines.length, 1);
});
