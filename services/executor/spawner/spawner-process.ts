/**
 * The main of the spawner process: a small child of the executor that starts
 * its commands (rule 22). It imports little, so that it starts and forks fast.
 * One socket, descriptor 3, leads to the executor; see frame.ts.
 *
 * It kills every group by itself
 *  - when the socket closes: the executor is dead, and the spawner leaves;
 *  - when the executor has been silent for silenceMs: it hangs, and nobody knows
 *    for how long. What dies of that is cut_off, never failed;
 *  - when the fence passes that the executor has set: its last beat that the
 *    store took is too long ago, and others may run its work soon (rule 16).
 */
import { mkdirSync } from "node:fs";
import { Socket } from "node:net";
import type { Timer } from "../../common/port/clock.ts";
import { SystemClock } from "../../common/runtime/system-clock.ts";
import { CommandRun } from "./command-run.ts";
import type { CommandOutcome } from "./command-spec.ts";
import { WARM_UP } from "./fork-program.ts";
import { decodeJson, encodeFrame, encodeJson, type Frame, FrameKind, FrameReader, sharedMonotonicMs } from "./frame.ts";
import { GroupFile } from "./group-file.ts";
import type { AliveFrame, SpawnerSettings, StartFrame, StopFrame } from "./messages.ts";

/** Bytes that may wait for the executor to read before output is dropped: a frozen executor blocks no command. */
const MAX_BACKLOG_BYTES = 16 * 1024 * 1024;

/** Milliseconds between two looks while silence or fence has passed. */
const LOOK_AGAIN_MS = 1_000;

/** The executor's socket. */
const EXECUTOR_DESCRIPTOR = 3;

interface QueuedStart {
  readonly start: StartFrame;
  readonly stdin: Buffer;
  readonly sentMs: number;
}

class SpawnerProcess {
  readonly #settings: SpawnerSettings;
  readonly #clock = new SystemClock();
  readonly #socket = new Socket({ fd: EXECUTOR_DESCRIPTOR, readable: true, writable: true });
  readonly #reader = new FrameReader();
  readonly #groups: GroupFile;
  readonly #runs = new Map<number, CommandRun>();
  readonly #queue = new Map<number, QueuedStart>();
  #count = 0;
  #silenceMs: number;
  #heardMs = sharedMonotonicMs();
  #fenceMs = Number.POSITIVE_INFINITY;
  #watchTimer: Timer | undefined;
  #leaving = false;
  #left = false;
  #corked = false;

  constructor(settings: SpawnerSettings) {
    this.#settings = settings;
    this.#silenceMs = settings.silenceMs ?? Number.POSITIVE_INFINITY;
    mkdirSync(settings.workRoot, { recursive: true, mode: 0o700 });
    this.#groups = new GroupFile(settings.groupsFile, settings.token);
  }

  start(): void {
    this.#socket.on("data", (chunk: Buffer) => {
      for (const frame of this.#reader.push(chunk)) this.#onFrame(frame);
    });
    this.#socket.on("error", () => this.#leave("the executor's end of the socket failed"));
    this.#socket.on("close", () => this.#leave("the executor is gone"));
    this.#socket.on("end", () => this.#leave("the executor is gone"));
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
        if (this.#queue.size === 0) setImmediate(() => this.#forkNext());
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
    const now = sharedMonotonicMs();
    if (this.#leaving || now - next.sentMs > this.#silenceMs || now >= this.#fenceMs) {
      this.#refuse(next.start.id, { kind: "cut_off", message: "the executor was silent before the command started" });
    } else {
      this.#queue.delete(next.start.id);
      const run = this.#newRun(next.start);
      this.#runs.set(next.start.id, run);
      run.run(next.stdin);
    }
    if (this.#queue.size > 0) setImmediate(() => this.#forkNext());
  }

  #newRun(start: StartFrame): CommandRun {
    const { token, workRoot } = this.#settings;
    const deps = {
      clock: this.#clock,
      groups: this.#groups,
      workRoot,
      token,
      onStart: (id: number, pid: number, startUs: number) =>
        this.#send(FrameKind.STARTED, ...encodeJson({ id, pid, startUs })),
      onOutput: (id: number, stream: "stdout" | "stderr", data: Buffer, dropped: number): boolean => {
        if (this.#socket.writableLength > MAX_BACKLOG_BYTES) return false;
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
    const now = this.#clock.wallUs();
    const ended = { id, outcome, exitCode: null, pid: null, startUs: now, endUs: now, droppedBytes: 0 };
    this.#send(FrameKind.ENDED, ...encodeJson({ ...ended, stdoutTailBytes: 0 }));
  }

  /** Looks again when silence or fence will have passed; after `passedMs` when one has. */
  #watch(passedMs: number): void {
    const deadline = Math.min(this.#heardMs + this.#silenceMs, this.#fenceMs);
    this.#watchTimer?.cancel();
    if (this.#leaving || deadline === Number.POSITIVE_INFINITY) return;
    const leftMs = deadline - sharedMonotonicMs();
    this.#watchTimer = this.#clock.setTimer(leftMs > 0 ? leftMs : passedMs, () =>
      // After this turn's reading: a spawner that was stopped itself has signs of life waiting in the socket.
      setImmediate(() => {
        this.#judge();
        this.#watch(LOOK_AGAIN_MS);
      }),
    );
  }

  #judge(): void {
    const now = sharedMonotonicMs();
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
    this.#groups.close();
    // Ends by itself once everything is written and no folder is left to remove.
    this.#socket.end(() => this.#socket.destroy());
  }

  /** Frames of one turn go out in one write. */
  #send(kind: (typeof FrameKind)[keyof typeof FrameKind], ...parts: readonly Uint8Array[]): void {
    if (this.#socket.destroyed || this.#socket.writableEnded) return;
    if (!this.#corked) {
      this.#corked = true;
      this.#socket.cork();
      setImmediate(() => {
        this.#corked = false;
        this.#socket.uncork();
      });
    }
    for (const part of encodeFrame(kind, sharedMonotonicMs(), ...parts)) this.#socket.write(part);
  }
}

// Whoever stops the executor's session or terminal reaches this process too; the executor decides when it ends.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});
if (process.argv[2] !== WARM_UP) new SpawnerProcess(JSON.parse(process.argv[2] ?? "") as SpawnerSettings).start();
