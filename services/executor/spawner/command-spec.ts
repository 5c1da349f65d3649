/** Grace between SIGTERM and SIGKILL, when a spec names none (protocol.md, "kill grace"). */
export const DEFAULT_KILL_GRACE_MS = 10_000;

/** Bytes of output that one attempt may forward, both streams together, when a spec names none. */
export const DEFAULT_MAX_OUTPUT_BYTES = 8 * 1024 * 1024;

/** Which of a command's two outputs. */
export type OutputStream = "stdout" | "stderr";

/** CommandSpec is one command to run, complete: nothing is added to it but the spawner's own mark in the environment. */
export interface CommandSpec {
  /** Command line for `/bin/sh -c` when `args` is empty; else the program. */
  readonly command: string;
  /** Arguments; when there are any, no shell is involved. */
  readonly args: readonly string[];
  /** The whole environment. */
  readonly env: Readonly<Record<string, string>>;
  /** Absolute working directory; a fresh folder, removed afterwards, when empty. */
  readonly workingDirectory: string;
  /** Bytes for standard input, which is closed after them; closed from the start when undefined. */
  readonly stdin?: Uint8Array | undefined;
  /** Limit in milliseconds from the start; none when undefined. */
  readonly timeoutMs?: number | undefined;
  /** Milliseconds between SIGTERM and SIGKILL; DEFAULT_KILL_GRACE_MS when undefined. */
  readonly killGraceMs?: number | undefined;
  /** Bytes of output forwarded; what comes after is read, dropped and counted. DEFAULT_MAX_OUTPUT_BYTES when undefined. */
  readonly maxOutputBytes?: number | undefined;
}

/** CommandOutcome is how a command ended. */
export type CommandOutcome =
  /** By itself. */
  | { readonly kind: "exited"; readonly exitCode: number }
  /** By a signal that was not ours: a crash, the kernel short of memory, somebody's kill. */
  | { readonly kind: "signaled"; readonly signal: string }
  /** It ran past its limit and was killed for it. */
  | { readonly kind: "timed_out" }
  /** Its caller stopped it, for the reason that the caller gave. */
  | { readonly kind: "stopped"; readonly reason: string }
  /** The executor was silent or its spawner died: nobody may take this for a failure of the command. */
  | {
      readonly kind: "cut_off";
      readonly message: string;
      /** Its spawner died with it: it may have run although nobody heard of its start. */
      readonly mayHaveRun?: true;
    }
  /** No process came to be. `code` is the system's name of the error, for example "ENOENT". */
  | { readonly kind: "spawn_failed"; readonly message: string; readonly code: string };

/** CommandResult is how a command ended and what was seen of it. */
export interface CommandResult {
  /** How it ended. Its process group was gone before this was said. */
  readonly outcome: CommandOutcome;
  /** Exit code, whatever the outcome; undefined when a signal ended it or no process came to be. */
  readonly exitCode: number | undefined;
  /** Process id of the group's leader; undefined when no process came to be. */
  readonly processId: number | undefined;
  /** When it started, in µs of wall-clock time; when that was tried, if no process came to be. */
  readonly startUs: number;
  /** When it ended, in µs of wall-clock time. */
  readonly endUs: number;
  /** End of standard output as text; see renderTail. */
  readonly stdoutTail: string;
  /** End of standard error, likewise. */
  readonly stderrTail: string;
  /** Bytes of output that were not handed to `onOutput`. */
  readonly droppedBytes: number;
}

/** CommandIo is what the caller of a command gives and hears while it runs. */
export interface CommandIo {
  /**
   * Takes a piece of at most MAX_OUTPUT_PIECE_BYTES. `droppedBytes` were left out of
   * this stream just before it. A promise asks for no further piece until it
   * settles: what does not fit the bounded buffer meanwhile is dropped and
   * counted. It must not throw.
   */
  onOutput(stream: OutputStream, data: Buffer, droppedBytes: number): void | Promise<void>;
  /** Hears that a process runs. */
  onStart?(startUs: number, processId: number): void;
  /** Stops the command when it aborts; its reason, as text, is the outcome's. */
  readonly signal?: AbortSignal | undefined;
}

/** RunningCommand is a command on its way. */
export interface RunningCommand {
  /** How it ended. Never rejects. */
  readonly result: Promise<CommandResult>;
  /** SIGTERM to its group now, SIGKILL after the grace. Harmless when it has ended or is being stopped. */
  stop(reason: string): void;
}
