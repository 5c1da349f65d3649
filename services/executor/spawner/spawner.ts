import type { Clock, Timer } from "../../common/port/clock.ts";
import type { Random } from "../../common/port/random.ts";
import {
  type CommandIo,
  type CommandSpec,
  DEFAULT_KILL_GRACE_MS,
  DEFAULT_MAX_OUTPUT_BYTES,
  type RunningCommand,
} from "./command-spec.ts";
import { decodeJson, encodeJson, type Frame, FrameKind, MAX_FRAME_BYTES } from "./frame.ts";
import { killLeftovers } from "./leftovers.ts";
import type { AliveFrame, EndedFrame, StartedFrame, StartFrame, WarningFrame } from "./messages.ts";
import type { SpawnerHost } from "./port/spawner-host.ts";
import { PendingCommand, reasonText } from "./running-command.ts";
import { SpawnerLink } from "./spawner-link.ts";

/**
 * Rule 22: commands are children of a small spawner process, so that nothing
 * outlives its executor, whichever of the two dies or hangs:
 *
 *   executor dies     its end of the socket closes; the spawner kills all groups
 *   executor hangs    no sign of life for silenceMs, or the fence passes; likewise
 *   spawner dies      the executor kills the groups of the file, starts another
 *   both die          the next start kills the groups of the file, before Hello
 *
 * What was killed so ends as cut_off, never as a failure of the command.
 */

/** Log lines that a spawner writes. */
export interface SpawnerLog {
  /** Something was done. */
  info(fields: Readonly<Record<string, unknown>>, message: string): void;
  /** Something is odd and was handled. */
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
  /** Something failed. */
  error(fields: Readonly<Record<string, unknown>>, message: string): void;
}

/** What a Spawner needs. */
export interface SpawnerDeps {
  /** Clock. */
  readonly clock: Clock;
  /** Names its processes. */
  readonly random: Random;
  /** Log. */
  readonly log: SpawnerLog;
  /** The machine that it runs on. */
  readonly host: SpawnerHost;
}

/** Settings of a Spawner. */
export interface SpawnerConfig {
  /**
   * Milliseconds of silence of this process after which commands are killed;
   * 4,000, the lease less 1 s. Null for never: the embedded executor, which lives
   * as long as its process.
   */
  readonly silenceMs?: number | null;
  /** Milliseconds without an answer after which the spawner process counts as hung and is killed; 30,000. */
  readonly hungMs?: number;
  /** Bytes of one command's output that wait for a slow consumer; 1 MiB. */
  readonly maxPendingOutputBytes?: number;
  /** Milliseconds that a slow consumer may hold up a result; 1,000. */
  readonly outputFlushMs?: number;
}

const DEFAULTS = { silenceMs: 4_000, hungMs: 30_000, maxPendingOutputBytes: 1024 * 1024, outputFlushMs: 1_000 };

/** Signs of life within one time of silence, and the longest wait between two. */
const SIGNS_PER_SILENCE = 4;
const LONGEST_SIGN_MS = 5_000;

/** Wait before another try when a spawner process does not start, first and longest. */
const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 5_000;

/** Milliseconds for a spawner process to kill everything and leave; then it is killed, and what it had by the executor. */
const STOP_TIMEOUT_MS = 5_000;

/** Bytes of a command with everything that belongs to it. */
const MAX_START_BYTES = MAX_FRAME_BYTES - 1024;

/** Spawner is the executor's side: it runs commands in its spawner process and keeps that process alive. */
export class Spawner {
  readonly #deps: SpawnerDeps;
  readonly #config: Required<SpawnerConfig>;
  readonly #commands = new Map<number, PendingCommand>();
  readonly #closing = new AbortController();
  #silenceMs: number | null;
  #fenceMs: number | null = null;
  #lastId = 0;
  #link: SpawnerLink | undefined;
  #aliveTimer: Timer | undefined;
  #started: Promise<void> | undefined;
  #stopped: Promise<void> | undefined;
  /** Settles when a spawner process is ready, or a try to get one failed. */
  #ready: Promise<void> = Promise.resolve();
  #restarting: Promise<void> | undefined;

  constructor(deps: SpawnerDeps, config: SpawnerConfig = {}) {
    this.#deps = deps;
    this.#config = { ...DEFAULTS, ...config };
    this.#silenceMs = this.#config.silenceMs;
  }

  /** Process id of the spawner process; undefined while there is none. */
  get processId(): number | undefined {
    return this.#link?.processId;
  }

  /** Kills what an earlier process left, then starts the spawner process. Rejects when that does not come up. */
  start(): Promise<void> {
    if (this.#started === undefined) {
      this.#started = this.#startOnce();
      this.#ready = this.#started.catch(() => {});
    }
    return this.#started;
  }

  /** Kills what runs, as cut_off, and ends the spawner process. Stop commands before, one by one, for a graceful end. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stopOnce();
    return this.#stopped;
  }

  /** Changes the time of silence, as Welcome gives the lease; null for never. */
  setSilence(silenceMs: number | null): void {
    this.#silenceMs = silenceMs;
    this.#sayAlive();
  }

  /**
   * Sets the fence: when `clock.monotonicMs()` reaches it, the spawner kills
   * everything, even while this process hangs. Moved on with each beat that the
   * store took, to when that beat was sent plus the lease less 1 s (rule 16).
   * Null takes it away, as for the embedded executor.
   */
  setFence(monotonicMs: number | null): void {
    const aheadMs = monotonicMs === null ? null : monotonicMs - this.#deps.clock.monotonicMs();
    this.#fenceMs = aheadMs === null ? null : this.#deps.host.sharedMonotonicMs() + aheadMs;
    this.#sayAlive();
  }

  /** Runs a command. While a dead spawner process is being replaced it waits for that. */
  run(spec: CommandSpec, io: CommandIo): RunningCommand {
    const id = ++this.#lastId;
    const command = new PendingCommand(
      {
        stop: (reason) => this.#link?.send(FrameKind.STOP, ...encodeJson({ id, reason })),
        flushTimeout: (signal) => this.#deps.clock.sleep(this.#config.outputFlushMs, signal),
        maxPendingBytes: this.#config.maxPendingOutputBytes,
        wallUs: () => this.#deps.clock.wallUs(),
      },
      io,
    );
    if (io.signal?.aborted) command.end({ kind: "stopped", reason: reasonText(io.signal.reason) });
    else if (this.#link !== undefined) this.#submit(id, command, spec);
    else void this.#ready.then(() => this.#submit(id, command, spec));
    return command;
  }

  #submit(id: number, command: PendingCommand, spec: CommandSpec): void {
    const parts = encodeJson(startFrame(id, spec), spec.stdin ?? new Uint8Array());
    const bytes = parts.reduce((sum, part) => sum + part.length, 0);
    if (command.stopReason !== undefined) {
      command.end({ kind: "stopped", reason: command.stopReason });
    } else if (this.#link === undefined || this.#closing.signal.aborted) {
      command.end({ kind: "cut_off", message: "the spawner process is not running" });
    } else if (bytes > MAX_START_BYTES) {
      command.end({ kind: "spawn_failed", code: "E2BIG", message: `the command has ${bytes} bytes in all` });
    } else {
      this.#commands.set(id, command);
      this.#link.send(FrameKind.START, ...parts);
    }
  }

  async #startOnce(): Promise<void> {
    await killLeftovers(this.#deps, this.#closing.signal);
    await this.#launch();
  }

  async #stopOnce(): Promise<void> {
    this.#closing.abort();
    await this.#started?.catch(() => {});
    // Again for the process that was being started when the stop came.
    for (let settled: Promise<void> | undefined; settled !== this.#restarting; ) {
      settled = this.#restarting;
      await Promise.all([settled, this.#link?.close(this.#deps.clock, STOP_TIMEOUT_MS)]);
    }
  }

  async #launch(): Promise<void> {
    this.#closing.signal.throwIfAborted();
    const { clock, random, host } = this.#deps;
    const start = { token: Buffer.from(random.bytes(8)).toString("hex"), silenceMs: this.#silenceMs };
    const link = await SpawnerLink.open(clock, host, start, (frame) => this.#onFrame(frame));
    this.#link = link;
    this.#sayAlive();
    this.#restarting = link.closed.then(() => this.#onDead());
  }

  /** The spawner process is gone: kill what it left, say so, and have another one. */
  async #onDead(): Promise<void> {
    this.#link = undefined;
    this.#aliveTimer?.cancel();
    const closing = this.#closing.signal.aborted;
    const left = [...this.#commands.values()];
    this.#commands.clear();
    const replaced = Promise.withResolvers<void>();
    this.#ready = replaced.promise;
    if (!closing) this.#deps.log.error({ commands: left.length }, "the spawner process died");
    // Not under the closing signal: what is left dies also when we stop meanwhile.
    await killLeftovers(this.#deps).catch((err: unknown) => {
      this.#deps.log.error({ err }, "leftovers of the spawner process could not be killed");
    });
    const message = closing ? "the executor stopped" : "the spawner process died and its commands were killed";
    for (const command of left) command.end({ kind: "cut_off", message, mayHaveRun: true });
    for (let waitMs = FIRST_RETRY_MS; !this.#closing.signal.aborted; waitMs = Math.min(waitMs * 2, LONGEST_RETRY_MS)) {
      try {
        await this.#launch();
        break;
      } catch (err) {
        this.#deps.log.error({ err }, "the spawner process did not start");
        // Whoever waits is told; later ones wait for the next try.
        replaced.resolve();
        this.#ready = Promise.resolve();
        await this.#deps.clock.sleep(waitMs, this.#closing.signal);
      }
    }
    replaced.resolve();
  }

  #onFrame(frame: Frame): void {
    if (frame.kind === FrameKind.OUTPUT) {
      const { payload } = frame;
      const command = this.#commands.get(payload.readUInt32LE(0));
      command?.onOutput(
        payload.readUInt8(4) === 1 ? "stdout" : "stderr",
        payload.subarray(13),
        payload.readDoubleLE(5),
      );
      return;
    }
    const { value, rest } = decodeJson(frame.payload);
    if (frame.kind === FrameKind.STARTED) {
      const started = value as StartedFrame;
      this.#commands.get(started.id)?.onStarted(started);
    } else if (frame.kind === FrameKind.ENDED) {
      const ended = value as EndedFrame;
      this.#commands.get(ended.id)?.onEnded(ended, rest);
      this.#commands.delete(ended.id);
    } else if (frame.kind === FrameKind.WARNING) {
      const warning = value as WarningFrame;
      this.#deps.log.warn(warning.fields, warning.message);
    }
  }

  #sayAlive(): void {
    this.#aliveTimer?.cancel();
    const link = this.#link;
    if (link === undefined) return;
    const signMs = Math.min((this.#silenceMs ?? Number.POSITIVE_INFINITY) / SIGNS_PER_SILENCE, LONGEST_SIGN_MS);
    // Signs and not time: while this process stood still it sent none and can have missed no answer.
    if (link.unanswered * signMs > this.#config.hungMs) {
      this.#deps.log.error({ unanswered: link.unanswered }, "the spawner process does not answer and is killed");
      link.kill();
      return;
    }
    const alive: AliveFrame = { silenceMs: this.#silenceMs, fenceMs: this.#fenceMs };
    link.sayAlive(alive);
    this.#aliveTimer = this.#deps.clock.setTimer(signMs, () => this.#sayAlive());
  }
}

function startFrame(id: number, spec: CommandSpec): StartFrame {
  const shell = spec.args.length === 0;
  return {
    id,
    file: shell ? "/bin/sh" : spec.command,
    args: shell ? ["-c", spec.command] : spec.args,
    env: spec.env,
    workingDirectory: spec.workingDirectory,
    hasStdin: spec.stdin !== undefined,
    timeoutMs: spec.timeoutMs,
    killGraceMs: spec.killGraceMs ?? DEFAULT_KILL_GRACE_MS,
    maxOutputBytes: spec.maxOutputBytes ?? DEFAULT_MAX_OUTPUT_BYTES,
  };
}
