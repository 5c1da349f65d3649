import type { CommandOutcome } from "./command-spec.ts";
import type { SpawnerStart } from "./port/spawner-host.ts";

/** What the executor hands to the spawner process as its one argument, in JSON. */
export interface SpawnerSettings extends SpawnerStart {
  /** The file of groups; see group-ledger.ts. */
  readonly groupsFile: string;
  /** Folder for fresh working directories. */
  readonly workRoot: string;
}

/** A command to run. */
export interface StartFrame {
  readonly id: number;
  readonly file: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Empty for a fresh folder. */
  readonly workingDirectory: string;
  /** Whether standard input has bytes, which may be none. */
  readonly hasStdin: boolean;
  readonly timeoutMs?: number | undefined;
  readonly killGraceMs: number;
  readonly maxOutputBytes: number;
}

/** A command to stop. */
export interface StopFrame {
  readonly id: number;
  readonly reason: string;
}

/** A sign of life. */
export interface AliveFrame {
  /** From now on, this much silence kills everything; none does when null. */
  readonly silenceMs: number | null;
  /** Everything is killed at this time by sharedMonotonicMs, unless it is moved; never when null. */
  readonly fenceMs: number | null;
}

/** A process that runs. */
export interface StartedFrame {
  readonly id: number;
  readonly pid: number;
  readonly startUs: number;
}

/** A command that ended. */
export interface EndedFrame {
  readonly id: number;
  readonly outcome: CommandOutcome;
  readonly exitCode: number | null;
  readonly pid: number | null;
  readonly startUs: number;
  readonly endUs: number;
  /** Bytes left out since the last piece of each stream. */
  readonly droppedBytes: number;
  /** Bytes of the first tail behind this JSON; the rest is the second. */
  readonly stdoutTailBytes: number;
}

/** Something an operator should see. */
export interface WarningFrame {
  readonly fields: Readonly<Record<string, string | number>>;
  readonly message: string;
}
