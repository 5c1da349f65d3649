import { MAX_OUTPUT_PIECE_BYTES, MAX_OUTPUT_TAIL_BYTES } from "../../common/domain/attempt.ts";
import type { Clock, Timer } from "../../common/port/clock.ts";
import type { CommandOutcome, OutputStream } from "./command-spec.ts";
import { type GroupLedger, SPAWN_MARK } from "./group-ledger.ts";
import type { EndedFrame, StartFrame } from "./messages.ts";
import type { CommandHost, ForkedCommand } from "./port/command-host.ts";
import { TailBuffer } from "./tail.ts";

/**
 * One command, in the spawner process. It leads a process group of its own, and
 * its end is only said when that group is gone: nothing that it left running
 * can go on beside the next attempt (rule 22). Its outputs are always read; what
 * nobody has room for is dropped and counted, so it never blocks on them.
 */

/** Bytes before a tail that can be needed to cut between characters. */
const CUT_BYTES = 3;

/** Milliseconds that outputs may stay open after the group is gone: a process that left the group may hold them. */
const DRAIN_MS = 500;

/** Milliseconds between two looks at a group that was killed, first and longest. */
const FIRST_LOOK_MS = 1;
const LONGEST_LOOK_MS = 100;

/** From this wait on the process table is read, which costs milliseconds. */
const LOOK_UP_MS = 16;

/** What a run needs from its process. */
export interface CommandRunDeps {
  /** Clock. */
  readonly clock: Clock;
  /** Where groups are noted. */
  readonly groups: Pick<GroupLedger, "add" | "remove">;
  /** The machine that it runs on. */
  readonly host: CommandHost;
  /** Mark of this spawner. */
  readonly token: string;
  /** Hears of a process. */
  onStart(id: number, pid: number, startUs: number): void;
  /** Takes a piece of output; false when there is no room for it. */
  onOutput(id: number, stream: OutputStream, data: Buffer, droppedBytes: number): boolean;
  /** Hears of the end. */
  onEnd(ended: EndedFrame, stdoutTail: Uint8Array, stderrTail: Uint8Array): void;
  /** Hears what an operator should see. */
  warn(fields: Readonly<Record<string, string | number>>, message: string): void;
}

/** CommandRun is one command from fork to the end of its group. */
export class CommandRun {
  readonly #deps: CommandRunDeps;
  readonly #start: StartFrame;
  readonly #number: number;
  readonly #outputs = {
    stdout: { tail: new TailBuffer(MAX_OUTPUT_TAIL_BYTES + CUT_BYTES), dropped: 0 },
    stderr: { tail: new TailBuffer(MAX_OUTPUT_TAIL_BYTES + CUT_BYTES), dropped: 0 },
  };
  readonly #timers = new Set<Timer>();
  #child: ForkedCommand | undefined;
  #folder = "";
  #startUs = 0;
  #outputBytes = 0;
  /** Why we kill it; the first reason stands. */
  #cause: CommandOutcome | undefined;
  /** Whether it could act on a signal of ours before the one that nothing survives. */
  #wasAsked = false;
  #exit: { code: number | null; signal: NodeJS.Signals | null; endUs: number } | undefined;
  #closed = false;
  #groupGone = false;
  #ended = false;

  constructor(deps: CommandRunDeps, start: StartFrame, number: number) {
    this.#deps = deps;
    this.#start = start;
    this.#number = number;
  }

  /** Forks. The end is said by onEnd in any case. */
  run(stdin: Buffer): void {
    this.#startUs = this.#deps.clock.wallUs();
    try {
      this.#fork(stdin);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** SIGTERM to the group, SIGKILL after the grace. */
  terminate(cause: CommandOutcome): void {
    if (this.#cause !== undefined || this.#exit !== undefined) return;
    this.#cause = cause;
    this.#wasAsked = true;
    this.#kill("SIGTERM");
    this.#after(this.#start.killGraceMs, () => this.#kill("SIGKILL"));
  }

  /** SIGKILL to the group. */
  kill(cause: CommandOutcome): void {
    this.#cause ??= cause;
    this.#kill("SIGKILL");
  }

  #fork(stdin: Buffer): void {
    const { host, token } = this.#deps;
    const start = this.#start;
    if (start.workingDirectory === "") this.#folder = host.makeFolder(`${token}-${this.#number}`);
    const fork = {
      file: start.file,
      args: start.args,
      env: { ...start.env, [SPAWN_MARK]: `${token}.${this.#number}` },
      folder: this.#folder || start.workingDirectory,
      stdin: start.hasStdin ? stdin : undefined,
    };
    const child = host.fork(fork, {
      onError: (error) => this.#fail(error),
      onData: (stream, data) => this.#onData(stream, data),
      onExit: (code, signal) => this.#onExit(code, signal),
      onClose: () => {
        this.#closed = true;
        this.#settle();
      },
    });
    this.#child = child;
    if (child.pid === undefined) return;
    this.#note(child.pid);
    if (start.timeoutMs !== undefined) this.#after(start.timeoutMs, () => this.terminate({ kind: "timed_out" }));
    this.#deps.onStart(start.id, child.pid, this.#startUs);
  }

  #note(pid: number): void {
    try {
      this.#deps.groups.add(this.#number, pid);
    } catch (error) {
      // Its mark in the environment still finds it.
      this.#deps.warn({ error: String(error) }, "a process group could not be noted");
    }
  }

  #onData(name: OutputStream, data: Buffer): void {
    const output = this.#outputs[name];
    output.tail.push(data);
    for (let at = 0; at < data.length; at += MAX_OUTPUT_PIECE_BYTES) {
      const whole = data.subarray(at, at + MAX_OUTPUT_PIECE_BYTES);
      const piece = whole.subarray(0, Math.max(this.#start.maxOutputBytes - this.#outputBytes, 0));
      if (piece.length > 0 && this.#deps.onOutput(this.#start.id, name, piece, output.dropped)) {
        this.#outputBytes += piece.length;
        output.dropped = whole.length - piece.length;
      } else {
        output.dropped += whole.length;
      }
    }
  }

  #onExit(code: number | null, signal: NodeJS.Signals | null): void {
    this.#exit = { code, signal, endUs: this.#deps.clock.wallUs() };
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
    this.#awaitGroup(FIRST_LOOK_MS);
  }

  #awaitGroup(nextLookMs: number): void {
    const pid = this.#child?.pid;
    const { host } = this.#deps;
    // The kernel's answer is enough while the killed are dying; only one that stays is looked up (a zombie?).
    if (pid !== undefined && host.killGroup(pid, "SIGKILL") && (nextLookMs < LOOK_UP_MS || host.groupLives(pid))) {
      this.#after(nextLookMs, () => this.#awaitGroup(Math.min(nextLookMs * 2, LONGEST_LOOK_MS)));
      return;
    }
    this.#groupGone = true;
    if (this.#closed) {
      this.#settle();
      return;
    }
    this.#after(DRAIN_MS, () => this.#child?.closeOutputs());
  }

  #settle(): void {
    if (!this.#groupGone || !this.#closed || this.#exit === undefined) return;
    this.#end(this.#outcome(this.#exit.code, this.#exit.signal), this.#exit.endUs);
  }

  #outcome(code: number | null, signal: NodeJS.Signals | null): CommandOutcome {
    // SIGKILL alone leaves no code: one that has a code was done before it.
    if (this.#cause !== undefined && (this.#wasAsked || code === null)) return this.#cause;
    return code !== null ? { kind: "exited", exitCode: code } : { kind: "signaled", signal: signal ?? "unknown" };
  }

  #fail(error: unknown): void {
    // Node reports failed kills this way too; those are no end.
    if (this.#child?.pid !== undefined) return;
    this.#end(startFailure(error, this.#start, this.#deps.host), this.#deps.clock.wallUs());
  }

  #end(outcome: CommandOutcome, endUs: number): void {
    if (this.#ended) return;
    this.#ended = true;
    for (const timer of this.#timers) timer.cancel();
    this.#deps.groups.remove(this.#number);
    this.#removeFolder();
    const { stdout, stderr } = this.#outputs;
    const stdoutTail = stdout.tail.take();
    const ended: EndedFrame = {
      id: this.#start.id,
      outcome,
      exitCode: this.#exit?.code ?? null,
      pid: this.#child?.pid ?? null,
      startUs: this.#startUs,
      endUs: Math.max(endUs, this.#startUs),
      droppedBytes: stdout.dropped + stderr.dropped,
      stdoutTailBytes: stdoutTail.length,
    };
    this.#deps.onEnd(ended, stdoutTail, stderr.tail.take());
  }

  #removeFolder(): void {
    if (this.#folder === "") return;
    this.#deps.host.removeFolder(this.#folder).catch((error: unknown) => {
      this.#deps.warn({ folder: this.#folder, error: String(error) }, "a working directory could not be removed");
    });
  }

  #kill(signal: NodeJS.Signals): void {
    const pid = this.#child?.pid;
    if (pid !== undefined && !this.#groupGone) this.#deps.host.killGroup(pid, signal);
  }

  #after(delayMs: number, callback: () => void): void {
    const timer = this.#deps.clock.setTimer(delayMs, () => {
      this.#timers.delete(timer);
      callback();
    });
    this.#timers.add(timer);
  }
}

/** What an operator needs to know when no process came to be. The system's ENOENT does not say which of two is missing. */
function startFailure(error: unknown, start: StartFrame, host: CommandHost): CommandOutcome {
  const code = error instanceof Error && "code" in error ? String(error.code) : "UNKNOWN";
  const folder = start.workingDirectory;
  if (folder !== "" && !host.isFolder(folder)) {
    return { kind: "spawn_failed", code, message: `working directory "${folder}" is not a folder that exists` };
  }
  const known: Record<string, string> = {
    ENOENT: `program "${start.file}" or its interpreter was not found`,
    EACCES: `program "${start.file}" may not be executed, or "${folder}" may not be entered`,
    E2BIG: "arguments and environment together are too long for this system",
    ERR_INVALID_ARG_VALUE: "command, arguments and environment may not hold NUL",
    EAGAIN: "this machine has no room for another process (EAGAIN)",
    ENOMEM: "this machine has no memory for another process (ENOMEM)",
    EMFILE: "the executor has too many open files (EMFILE)",
    ENFILE: "this machine has too many open files (ENFILE)",
  };
  const text = known[code] ?? `the command could not be started: ${error instanceof Error ? error.message : error}`;
  return { kind: "spawn_failed", code, message: text };
}
