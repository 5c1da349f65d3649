import { isUtf8 } from "node:buffer";
import type { ReadLogsRequest, ReadLogsResponse } from "../../../gen/jobmesh/v1/execution_service.ts";
import type { OutputPiece, OutputStream } from "../../common/domain/attempt.ts";
import { isFinal } from "../../common/domain/execution.ts";
import type { ExecutionId } from "../../common/domain/identifier.ts";
import { JobmeshError } from "../../common/error/jobmesh-error.ts";
import type { Clock } from "../../common/port/clock.ts";
import type { Store } from "../../common/port/store.ts";
import type { CallContext, SendStream } from "../../common/rpc/contract.ts";
import { asBuffer, levelToMessage, streamFromMessage, streamToMessage } from "../../common/wire/output.ts";
import { timestampOfUs } from "../../common/wire/time.ts";
import type { Hints } from "../hints.ts";
import { existing } from "./execution-lookup.ts";
import { FieldFaults } from "./field-faults.ts";

/** Bytes read from the store at once. */
const READ_BYTES = 512 * 1024;
/** Time between two looks at the store while a log is followed; hints make most of them needless. */
const FOLLOW_INTERVAL_MS = 250;
/** Rule 35: how long a log whose attempt has ended may miss pieces before it is said. */
const MISSING_PATIENCE_MS = 5_000;

type LogDeps = { readonly store: Store; readonly hints: Hints; readonly clock: Clock };

/**
 * ReadLogs: an attempt's output from its start, and on while it runs when asked
 * to follow. The log of an attempt that has ended is whole, or ends with
 * LOG_INCOMPLETE (rule 35).
 */
export async function openLogs(
  deps: LogDeps,
  request: ReadLogsRequest,
  stream: SendStream<ReadLogsResponse>,
  context: CallContext,
): Promise<void> {
  const { executionId, streams } = readLogsRequest(request);
  const execution = await existing(deps.store, executionId);
  if (request.attempt > execution.attempt) {
    throw new JobmeshError("ATTEMPT_NOT_FOUND", { message: `the execution has ${execution.attempt} attempts` });
  }
  const news = new OutputNews(deps, executionId);
  try {
    let afterSequence = Number(request.afterSequence);
    let endedForMs = 0;
    let attempt = request.attempt === 0 ? execution.attempt : request.attempt;
    for (;;) {
      // One that waits for its first attempt has no number yet.
      if (attempt === 0) attempt = (await existing(deps.store, executionId)).attempt;
      const completeness = await deps.store.output.completeness(executionId, attempt);
      afterSequence = await sendStored(deps, { executionId, attempt, afterSequence, streams }, stream, context);
      if (context.signal.aborted) return;
      if (completeness !== null && completeness.stored >= completeness.written) return;
      if (completeness === null && (!request.follow || (await neverRuns(deps.store, executionId)))) return;
      // An OK would say that the log is whole; the reader goes on elsewhere after the last piece that it has.
      if (context.stopping.aborted) throw new JobmeshError("SHUTTING_DOWN");
      if (completeness !== null && endedForMs >= MISSING_PATIENCE_MS) {
        throw new JobmeshError("LOG_INCOMPLETE", {
          message: `${completeness.written - completeness.stored} of ${completeness.written} pieces never arrived`,
        });
      }
      const sinceMs = deps.clock.monotonicMs();
      await news.wait(FOLLOW_INTERVAL_MS, AbortSignal.any([context.signal, context.stopping]));
      if (completeness !== null) endedForMs += deps.clock.monotonicMs() - sinceMs;
    }
  } finally {
    news.stop();
  }
}

function readLogsRequest(request: ReadLogsRequest): { executionId: ExecutionId; streams: readonly OutputStream[] } {
  const faults = new FieldFaults();
  const executionId = faults.executionId("execution_id", request.executionId);
  faults.unsupported("until_ended", request.untilEnded);
  faults.unsupported("tail_lines", request.tailLines !== 0n);
  if (request.attempt < 0) faults.add("attempt", `must be at least 0; was ${request.attempt}`);
  const streams = request.streams.flatMap((number, index) => {
    const name = streamFromMessage(number);
    if (name === undefined) faults.add(`streams[${index}]`, `${number} is no output of an attempt`);
    return name === undefined ? [] : [name];
  });
  faults.throwIfAny();
  return { executionId, streams };
}

type LogPlace = {
  readonly executionId: ExecutionId;
  readonly attempt: number;
  readonly afterSequence: number;
  readonly streams: readonly OutputStream[];
};

/** Sends what is stored after a piece; answers the last piece sent. */
async function sendStored(
  deps: LogDeps,
  place: LogPlace,
  stream: SendStream<ReadLogsResponse>,
  context: CallContext,
): Promise<number> {
  let { afterSequence } = place;
  for (;;) {
    const pieces = await deps.store.output.read({ ...place, afterSequence, maxBytes: READ_BYTES });
    if (pieces.length === 0 || context.signal.aborted) return afterSequence;
    for (const piece of pieces) {
      if (!stream.send(pieceToMessage(piece))) await stream.ready();
      afterSequence = piece.sequence;
    }
  }
}

/** True for an execution that ended without running this attempt, or waits for a later one. */
async function neverRuns(store: Store, executionId: ExecutionId): Promise<boolean> {
  const [state] = await store.executions.states([executionId]);
  return state === undefined || isFinal(state.state);
}

/** A piece as the contract shows it: text where it is UTF-8, bytes where it is not. */
function pieceToMessage(piece: OutputPiece): ReadLogsResponse {
  const bytes = asBuffer(piece.data);
  return {
    attempt: piece.key.attempt,
    stream: streamToMessage(piece.stream),
    content: isUtf8(bytes) ? { $case: "text", value: bytes.toString("utf8") } : { $case: "data", value: bytes },
    time: timestampOfUs(piece.timeUs),
    droppedBytes: BigInt(piece.droppedBytes),
    sequence: BigInt(piece.sequence),
    level: levelToMessage(piece.level),
    fieldsJson: piece.fieldsJson,
    spanId: piece.spanId,
  };
}

/** Wakes a reader when output of its execution arrives, or when it ends. */
class OutputNews {
  readonly #clock: Clock;
  readonly #unlisten: readonly (() => void)[];
  #wake: AbortController | null = null;
  #pending = false;

  constructor(deps: LogDeps, executionId: ExecutionId) {
    this.#clock = deps.clock;
    const tell = (): void => {
      this.#pending = true;
      this.#wake?.abort();
    };
    this.#unlisten = [
      deps.hints.on("output", (hint) => hint.piece.key.executionId === executionId && tell()),
      deps.hints.on("ended", (hint) => hint.executionId === executionId && tell()),
    ];
  }

  async wait(maxMs: number, signal: AbortSignal): Promise<void> {
    if (!this.#pending) {
      this.#wake = new AbortController();
      await this.#clock.sleep(maxMs, AbortSignal.any([signal, this.#wake.signal]));
    }
    this.#pending = false;
  }

  stop(): void {
    for (const unlisten of this.#unlisten) unlisten();
  }
}
