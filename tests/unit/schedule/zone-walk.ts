import { type LocalMinute, localMinuteOf, type OracleCron } from "./cron-oracle.ts";

/** Minutes of real time one after the other, each with its local minute as Intl tells it. */
export type ZoneWalk = {
  /** The instant of the first minute. */
  readonly startMs: number;
  /** Local minutes from 1970, as if local time were UTC. */
  readonly localMinutes: readonly number[];
  /** The same, taken apart. */
  readonly locals: readonly LocalMinute[];
  /** For each minute how often its local minute was there before, and how often it is there at all. */
  readonly passes: readonly { readonly before: number; readonly all: number }[];
};

const MINUTE_MS = 60_000;

function localClock(zone: string): (ms: number) => number {
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone: zone,
    hourCycle: "h23",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
  });
  return (ms) => {
    const [month = 0, day = 0, year = 0, hour = 0, minute = 0] = format
      .format(ms)
      .split(/[/:, ]+/)
      .map(Number);
    return Date.UTC(year, month - 1, day, hour, minute) / MINUTE_MS;
  };
}

/** Walks from one instant to another minute by minute. */
export function walkZone(zone: string, fromMs: number, toMs: number): ZoneWalk {
  const clock = localClock(zone);
  const localMinutes: number[] = [];
  for (let ms = fromMs; ms < toMs; ms += MINUTE_MS) localMinutes.push(clock(ms));
  const counts = new Map<number, number>();
  const before = localMinutes.map((local) => {
    const count = counts.get(local) ?? 0;
    counts.set(local, count + 1);
    return count;
  });
  const passes = localMinutes.map((local, index) => ({ before: before[index] ?? 0, all: counts.get(local) ?? 0 }));
  return { startMs: fromMs, localMinutes, locals: localMinutes.map(localMinuteOf), passes };
}

/** Noons of UTC before which, within a day, the zone's offset changed. */
export function changeDays(zone: string, fromYear: number, toYear: number): number[] {
  const clock = localClock(zone);
  const days: number[] = [];
  let before: number | null = null;
  for (let ms = Date.UTC(fromYear, 0, 1, 12); ms < Date.UTC(toYear + 1, 0, 1); ms += 24 * 60 * MINUTE_MS) {
    const offset = clock(ms) - ms / MINUTE_MS;
    if (before !== null && offset !== before) days.push(ms);
    before = offset;
  }
  return days;
}

/** What a schedule says of clock changes. */
export type OraclePolicies = { readonly gap: "FIRE_AFTER" | "SKIP"; readonly overlap: "FIRST" | "SECOND" | "BOTH" };

/** Every fire of an expression in a walk, found by looking at each of its minutes. */
export function walkFires(walk: ZoneWalk, cron: OracleCron, policies: OraclePolicies): number[] {
  const fires = new Set<number>();
  walk.localMinutes.forEach((localMinute, index) => {
    const ms = walk.startMs + index * MINUTE_MS;
    const previous = walk.localMinutes[index - 1] ?? localMinute - 1;
    if (cron.fixed && policies.gap === "FIRE_AFTER") {
      for (let skipped = previous + 1; skipped < localMinute; skipped += 1) {
        if (cron.namesMinute(localMinuteOf(skipped))) fires.add(ms);
      }
    }
    const local = walk.locals[index];
    const pass = walk.passes[index];
    if (local === undefined || pass === undefined || !cron.namesMinute(local)) return;
    if (cron.fixed && policies.overlap === "FIRST" && pass.before > 0) return;
    if (cron.fixed && policies.overlap === "SECOND" && pass.before < pass.all - 1) return;
    for (const second of cron.seconds) fires.add(ms + second * 1_000);
  });
  return [...fires].sort((left, right) => left - right);
}
