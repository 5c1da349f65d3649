/** What a spawner process keeps for an executor that does not read. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeJson, encodeJson, FrameKind } from "../../../services/executor/spawner/frame.ts";
import type { EndedFrame } from "../../../services/executor/spawner/messages.ts";
import type { CommandEar } from "../../../services/executor/spawner/port/command-host.ts";
import type { FrameEar } from "../../../services/executor/spawner/port/frame-pipe.ts";
import { MAX_BACKLOG_BYTES, Supervisor } from "../../../services/executor/spawner/supervisor.ts";
import { ManualClock } from "../../support/manual-clock.ts";

/** A supervisor whose executor has read nothing of so many bytes, with one command that the test speaks for. */
async function setup() {
  const clock = new ManualClock();
  const sent: { readonly kind: FrameKind; readonly payload: Buffer }[] = [];
  let executor: FrameEar | undefined;
  let command: CommandEar | undefined;
  const pipe = {
    backlogBytes: 0,
    listen: (ear: FrameEar) => {
      executor = ear;
    },
    send: (kind: FrameKind, ...parts: readonly Uint8Array[]) => void sent.push({ kind, payload: Buffer.concat(parts) }),
    end: () => {},
  };
  const host = {
    fork: (_fork: unknown, ear: CommandEar) => {
      command = ear;
      return { pid: 7, closeOutputs: () => {} };
    },
    makeFolder: () => "/work",
    removeFolder: async () => {},
    isFolder: () => true,
    killGroup: () => false,
    groupLives: () => false,
  };
  const groups = { add: () => {}, remove: () => {}, close: () => {} };
  const deps = { clock, sharedMonotonicMs: () => clock.monotonicMs(), executor: pipe, groups, host };
  new Supervisor(deps, { token: "t", silenceMs: null }).start();
  const start = { id: 1, file: "true", args: [], env: {}, workingDirectory: "", hasStdin: false };
  const payload = Buffer.concat(encodeJson({ ...start, killGraceMs: 1_000, maxOutputBytes: 1024 * 1024 }));
  executor?.onFrame({ kind: FrameKind.START, sentMs: clock.monotonicMs(), payload });
  await clock.advance(1);
  return { pipe, sent, command: command ?? assert.fail("it is forked") };
}

test("16 MiB wait for an executor that does not read; what comes then is dropped and counted", async () => {
  const { pipe, sent, command } = await setup();
  const pieces = () => sent.filter(({ kind }) => kind === FrameKind.OUTPUT).length;
  assert.equal(MAX_BACKLOG_BYTES, 16 * 1024 * 1024);
  pipe.backlogBytes = MAX_BACKLOG_BYTES;
  command.onData("stdout", Buffer.from("kept"));
  assert.equal(pieces(), 1);
  pipe.backlogBytes = MAX_BACKLOG_BYTES + 1;
  command.onData("stdout", Buffer.from("dropped"));
  assert.equal(pieces(), 1);
  command.onExit(0, null);
  command.onClose();
  const ended = sent.find(({ kind }) => kind === FrameKind.ENDED) ?? assert.fail("its end is said in any case");
  assert.equal((decodeJson(ended.payload).value as EndedFrame).droppedBytes, "dropped".length);
});
