import type { Clock, Timer } from "../../common/port/clock.ts";
import { CommandRun } from "./command-run.ts";
import type { CommandOutcome } from "./command-spec.ts";
import { decodeJson, encodeJson, type Frame, FrameKind } from "./frame.ts";
import type { GroupLedger } from "./group-ledger.ts";
import type { AliveFrame, StartFrame, StopFrame } from "./messages.ts";
import type { CommandHost } from "./port/command-host.ts";
import type { FramePipe } from "./port/frame-pipe.ts";
import type { SpawnerStart } from "./port/spawner-host.ts";

/**
 * The spawner process's side of rule 22: it starts the executor's commands and
 * kills every group by itself
 *  - when the pipe closes: the executor is dead, and the spawner leaves;
 *  - when the executor has been silent for silenceMs: it hangs, and nobody knows
 *    for how long. What dies of that is cut_off, never failed;
 *  - when the fence passes that the executor has set: its last beat that the
 *    store took is too long ago, and others may run its work soon (rule 16).
 */

/** Bytes that may wait for the executor to read before output is dropped: a frozen executor blocks no command. */
export const MAX_BACKLOG_BYTES = 16 * 1024 * 1024;

/** Milliseconds between two looks while silence or fence has passed. */
const LOOK_AGAIN_MS = 1_000;

interface QueuedStart {
  readonly start: StartFrame;
  readonly stdin: Buffer;
  readonly sentMs: number;
}

/** What a Supervisor needs. */
export interface SupervisorDeps {
  /** Clock. */
  readonly clock: Clock;
  /** Milliseconds of the clock that the machine's processes share; see SpawnerHost. */
  sharedMonotonicMs(): number;
  /** The spawner's end of the pipe to the executor. */
  readonly executor: FramePipe;
  /** Where groups are noted. */
  readonly groups: Pick<GroupLedger, "add" | "remove" | "close">;
  /** The machine that it runs on. */
  readonly host: CommandHost;
}

/** Supervisor is what a spawner process does. It has nothing left to do, and its process ends, when the pipe is closed. */
export class Supervisor {
  readonly #deps: SupervisorDeps;
  readonly #token: string;
  readonly #runs = new Map<number, CommandRun>();
  readonly #queue = new Map<number, QueuedStart>();
  #count = 0;
  #silenceMs: number;
  #heardMs: number;
  #fenceMs = Number.POSITIVE_INFINITY;
  #watchTimer: Timer | undefined;
  #leaving = false;
  #left = false;

  constructor(deps: SupervisorDeps, { token, silenceMs }: SpawnerStart) {
    this.#deps = deps;
    this.#token = token;
    this.#silenceMs = silenceMs ?? Number.POSITIVE_INFINITY;
    this.#heardMs = deps.sharedMonotonicMs();
  }

  /** Listens, and says that it is ready. */
  start(): void {
    this.#deps.executor.listen({
      onFrame: (frame) => this.#onFrame(frame),
      onGone: () => this.#leave("the executor is gone"),
    });
    this.#watch(0);
    this.#send(FrameKind.READY);
  }

  #onFrame(frame: Frame): void {
    this.#heardMs = Math.max(this.#heardMs, frame.sentMs);
    switch (frame.kind) {
      case FrameKind.START: {
        const { value, rest } = decodeJson(frame.payload);
        const start = value as StartFrame;
        // One fork a turn: between two of them outputs are read and timers run.
        if (this.#queue.size === 0) this.#nextTurn(() => this.#forkNext());
        this.#queue.set(start.id, { start, stdin: rest, sentMs: frame.sentMs });
        return;
      }
      case FrameKind.STOP: {
        const { id, reason } = decodeJson(frame.payload).value as StopFrame;
        this.#refuse(id, { kind: "stopped", reason });
        this.#runs.get(id)?.terminate({ kind: "stopped", reason });
        return;
      }
      case FrameKind.ALIVE: {
        const alive = decodeJson(frame.payload).value as AliveFrame;
        this.#silenceMs = alive.silenceMs ?? Number.POSITIVE_INFINITY;
        this.#fenceMs = alive.fenceMs ?? Number.POSITIVE_INFINITY;
        // Also a fence that has passed already is seen at once.
        this.#watch(0);
        this.#send(FrameKind.READY);
        return;
      }
      case FrameKind.CLOSE:
        this.#leave("the executor stops");
        return;
      default:
        throw new Error(`frame of kind ${frame.kind}`);
    }
  }

  #forkNext(): void {
    const next = this.#queue.values().next().value;
    if (next === undefined) return;
    // What lay in the socket while this process was stopped may be somebody else's by now.
    const now = this.#deps.sharedMonotonicMs();
    if (this.#leaving || now - next.sentMs > this.#silenceMs || now >= this.#fenceMs) {
      this.#refuse(next.start.id, { kind: "cut_off", message: "the executor was silent before the command started" });
    } else {
      this.#queue.delete(next.start.id);
      const run = this.#newRun(next.start);
      this.#runs.set(next.start.id, run);
      run.run(next.stdin);
    }
    if (this.#queue.size > 0) this.#nextTurn(() => this.#forkNext());
  }

  #nextTurn(callback: () => void): void {
    this.#deps.clock.setTimer(0, callback);
  }

  #newRun(start: StartFrame): CommandRun {
    const { clock, groups, host, executor } = this.#deps;
    const deps = {
      ...{ clock, groups, host },
      token: this.#token,
      onStart: (id: number, pid: number, startUs: number) =>
        this.#send(FrameKind.STARTED, ...encodeJson({ id, pid, startUs })),
      onOutput: (id: number, stream: "stdout" | "stderr", data: Buffer, dropped: number): boolean => {
        if (executor.backlogBytes > MAX_BACKLOG_BYTES) return false;
        const head = Buffer.allocUnsafe(13);
        head.writeUInt32LE(id, 0);
        head.writeUInt8(stream === "stdout" ? 1 : 2, 4);
        head.writeDoubleLE(dropped, 5);
        this.#send(FrameKind.OUTPUT, head, data);
        return true;
      },
      onEnd: (ended: { readonly id: number }, stdoutTail: Uint8Array, stderrTail: Uint8Array) => {
        this.#runs.delete(ended.id);
        this.#send(FrameKind.ENDED, ...encodeJson(ended, stdoutTail, stderrTail));
        this.#leaveWhenDone();
      },
      warn: (fields: Readonly<Record<string, string | number>>, message: string) =>
        this.#send(FrameKind.WARNING, ...encodeJson({ fields, message })),
    };
    return new CommandRun(deps, start, ++this.#count);
  }

  /** Ends a command that waits for its fork. */
  #refuse(id: number, outcome: CommandOutcome): void {
    if (!this.#queue.delete(id)) return;
    const now = this.#deps.clock.wallUs();
    const ended = { id, outcome, exitCode: null, pid: null, startUs: now, endUs: now, droppedBytes: 0 };
    this.#send(FrameKind.ENDED, ...encodeJson({ ...ended, stdoutTailBytes: 0 }));
  }

  /** Looks again when silence or fence will have passed; after `passedMs` when one has. */
  #watch(passedMs: number): void {
    const deadline = Math.min(this.#heardMs + this.#silenceMs, this.#fenceMs);
    this.#watchTimer?.cancel();
    if (this.#leaving || deadline === Number.POSITIVE_INFINITY) return;
    const leftMs = deadline - this.#deps.sharedMonotonicMs();
    this.#watchTimer = this.#deps.clock.setTimer(leftMs > 0 ? leftMs : passedMs, () =>
      // After this turn's reading: a spawner that was stopped itself has signs of life waiting in the socket.
      this.#nextTurn(() => {
        this.#judge();
        this.#watch(LOOK_AGAIN_MS);
      }),
    );
  }

  #judge(): void {
    const now = this.#deps.sharedMonotonicMs();
    const silentMs = Math.round(now - this.#heardMs);
    if (silentMs >= this.#silenceMs) this.#killAll(`the executor was silent for ${silentMs} ms`);
    else if (now >= this.#fenceMs) this.#killAll("the mesh did not hear of the executor in time");
  }

  #killAll(message: string): void {
    for (const id of [...this.#queue.keys()]) this.#refuse(id, { kind: "cut_off", message });
    for (const run of this.#runs.values()) run.kill({ kind: "cut_off", message });
  }

  #leave(message: string): void {
    this.#leaving = true;
    this.#watchTimer?.cancel();
    this.#killAll(message);
    this.#leaveWhenDone();
  }

  #leaveWhenDone(): void {
    if (!this.#leaving || this.#left || this.#runs.size > 0) return;
    this.#left = true;
    this.#deps.groups.close();
    // The process ends by itself once everything is written and no folder is left to remove.
    this.#deps.executor.end();
  }

  #send(kind: FrameKind, ...parts: readonly Uint8Array[]): void {
    this.#deps.executor.send(kind, ...parts);
  }
}
