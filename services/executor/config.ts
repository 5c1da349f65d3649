import type { ExecutorId } from "../common/domain/identifier.ts";

/** Settings of an Executor. Times in milliseconds. */
export type ExecutorConfig = {
  /** Stable over restarts, unique in the mesh: 1 to 64 of [A-Za-z0-9._-]. */
  readonly executorId: ExecutorId;
  /** Version of the software, for people. */
  readonly version: string;
  /** Attempts that run at once. */
  readonly slots: number;
  readonly labels: Readonly<Record<string, string>>;
  /** Namespaces that it serves; empty means all. */
  readonly namespaces: readonly string[];
  /** Partition of the dispatch topic that it reads. */
  readonly lane: number;
  /** False for the executor inside `jobmesh dev`, which lives as long as its process (rule 14). */
  readonly selfFencing: boolean;
  /** Work stops this long before others may take it for lost. */
  readonly marginMs: number;
  /** How long a handler may take to settle when the executor fences itself. */
  readonly fenceSettleMs: number;
  /** How long a stopped handler may stay unsettled before the process ends. */
  readonly unsettledExitMs: number;
  /** Between the polite stop and the forced one, where nobody says otherwise. */
  readonly killGraceMs: number;
  /** Time to live of the key in the registry. */
  readonly registryTtlMs: number;
  readonly maxKeptBytes: number;
  readonly maxKeptResults: number;
  /** Attempts handed back that may wait besides; more are dropped, and sent again by the home. */
  readonly maxKeptReturns: number;
  /** Keys remembered after `rememberMs` past stored. */
  readonly maxRememberedKeys: number;
  readonly rememberMs: number;
  /** What the bus has not taken after this goes by the session too. */
  readonly busTimeoutMs: number;
  /** How long the first Hello waits for the lane; then the executor works by its session until the lane stands. */
  readonly laneWaitMs: number;
  readonly maxUnackedOutputBytes: number;
  /** Output that waits in this process; more is dropped and counted. */
  readonly maxWaitingOutputBytes: number;
  /** Lines that one handler's attempt may write, in bytes; more are dropped and counted. */
  readonly maxHandlerOutputBytes: number;
  /** How long Hello may go unanswered. */
  readonly helloTimeoutMs: number;
  /** How long a home may say nothing. */
  readonly homeSilenceMs: number;
  /** Longest wait between two tries to find a home. */
  readonly maxBackoffMs: number;
  /** Two beats that are sent because room grew are at least this far apart. */
  readonly beatGapMs: number;
  /** How long a drain lets attempts run. */
  readonly drainSoftMs: number;
  /** How long attempts that are cut off may take to end. */
  readonly drainHardMs: number;
  /** How long a drain waits for results and output to be stored. */
  readonly flushMs: number;
};

/** What an ExecutorConfig is when a setting is left out. The values are protocol.md's where it has them. */
export const executorDefaults = {
  version: "0.1.0",
  slots: 8,
  labels: {},
  namespaces: [],
  selfFencing: true,
  marginMs: 1_000,
  fenceSettleMs: 500,
  unsettledExitMs: 300_000,
  killGraceMs: 10_000,
  registryTtlMs: 5_000,
  maxKeptBytes: 64 * 1024 * 1024,
  maxKeptResults: 50_000,
  maxKeptReturns: 10_000,
  maxRememberedKeys: 100_000,
  rememberMs: 10_000,
  busTimeoutMs: 1_000,
  laneWaitMs: 10_000,
  maxUnackedOutputBytes: 256 * 1024,
  maxWaitingOutputBytes: 16 * 1024 * 1024,
  maxHandlerOutputBytes: 8 * 1024 * 1024,
  helloTimeoutMs: 3_000,
  homeSilenceMs: 3_000,
  maxBackoffMs: 1_000,
  beatGapMs: 2,
  drainSoftMs: 30_000,
  drainHardMs: 15_000,
  flushMs: 5_000,
} as const satisfies Partial<ExecutorConfig>;

/** Lanes of the dispatch topic. */
export const LANE_COUNT = 256;

/** Shortest and longest time between beats that say that room grew. */
const MIN_BEAT_GAP_MS = 2;
const MAX_BEAT_GAP_MS = 10;

/**
 * Between two beats that say that room grew: with few slots each one counts at
 * once; with hundreds, a hundredth of them may wait a few milliseconds for the
 * next beat, which spares both ends hundreds of messages a second.
 */
export function beatGapMsOf(slots: number): number {
  return Math.min(Math.max(slots / 100, MIN_BEAT_GAP_MS), MAX_BEAT_GAP_MS);
}

/** A text's place among `count`: FNV-1a, 32 bits. */
export function placeOf(text: string, count: number): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return (hash >>> 0) % count;
}

/** Faults of a config, as sentences that name the setting; empty when there are none. */
export function configFaults(config: ExecutorConfig): string[] {
  const faults: string[] = [];
  const wholeAndPositive = ["slots", "maxKeptBytes", "maxKeptResults", "maxRememberedKeys"] as const;
  for (const name of wholeAndPositive) {
    if (!Number.isInteger(config[name]) || config[name] < 1) faults.push(`${name}: must be a whole number from 1 on`);
  }
  if (!/^[A-Za-z0-9._-]{1,64}$/.test(config.executorId)) {
    faults.push(`executorId: must be 1 to 64 of [A-Za-z0-9._-], is "${config.executorId}"`);
  }
  if (config.slots > 100_000) faults.push(`slots: must be at most 100000, is ${config.slots}`);
  if (config.slots > config.maxKeptResults) faults.push("maxKeptResults: must be at least slots");
  if (config.registryTtlMs <= config.marginMs) faults.push("registryTtlMs: must be more than marginMs");
  return faults;
}
