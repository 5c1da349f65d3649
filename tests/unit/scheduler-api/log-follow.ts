import assert from "node:assert/strict";
import type { Execution } from "../../../gen/jobmesh/v1/execution.ts";
import { type DeepPartial, ReadLogsRequest, type ReadLogsResponse } from "../../../gen/jobmesh/v1/execution_service.ts";
import type { OutputPiece } from "../../../services/common/domain/attempt.ts";
import type { AttemptKey } from "../../../services/common/domain/identifier.ts";
import type { ScriptedExecutor } from "../../support/scripted-executor.ts";
import type { SubmissionInput } from "./calls.ts";
import type { TestApi } from "./setup.ts";

/** An execution that runs on an executor. */
export async function running(
  api: TestApi,
  submission: SubmissionInput = {},
): Promise<{ executor: ScriptedExecutor; execution: Execution; key: AttemptKey }> {
  const executor = await api.join("e", 1);
  const execution = await api.submit(submission);
  const key = executor.orders[0]?.key ?? assert.fail("it was dispatched");
  return { executor, execution, key };
}

/** A piece of output. */
export function piece(
  key: AttemptKey,
  sequence: number,
  data: string | Uint8Array,
  changes: Partial<OutputPiece> = {},
): OutputPiece {
  const plain = {
    stream: "STDOUT",
    timeUs: 1_000_000,
    droppedBytes: 0,
    level: "UNSPECIFIED",
    fieldsJson: "",
    spanId: "",
  } as const;
  return { key, sequence, data: typeof data === "string" ? Buffer.from(data) : data, ...plain, ...changes };
}

/** Stores output and hints of it, as a session does. */
export async function write(api: TestApi, ...pieces: OutputPiece[]): Promise<void> {
  await api.store.output.append(pieces);
  for (const one of pieces) api.hints.tell({ kind: "output", piece: one });
}

/** A log that is read, with what has come. */
export function follow(api: TestApi, request: DeepPartial<ReadLogsRequest>) {
  const caller = new AbortController();
  const pieces: ReadLogsResponse[] = [];
  const readers = new Set<() => void>();
  const done = (async () => {
    const stream = api.executions.readLogs(ReadLogsRequest.fromPartial(request), { signal: caller.signal });
    for await (const one of stream) {
      pieces.push(one);
      for (const reader of readers) reader();
    }
  })();
  done.catch(() => undefined);
  return {
    pieces,
    done,
    leave: () => caller.abort(),
    arrived: (count: number): Promise<void> =>
      new Promise((resolve) => {
        const look = (): void => {
          if (pieces.length >= count) resolve();
        };
        readers.add(look);
        look();
      }),
  };
}

/** Sequences of what came. */
export const sequences = (pieces: readonly ReadLogsResponse[]) => pieces.map(({ sequence }) => Number(sequence));

/** Turns of the event loop until what a call asked for is under way. */
export async function turns(api: TestApi): Promise<void> {
  for (let count = 0; count < 20; count += 1) await api.clock.settle();
}

/** Moves time on in steps of the reader's, each with turns enough for its calls. */
export async function advanceTurning(api: TestApi, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 250) {
    await api.clock.advance(250);
    await turns(api);
  }
}
