import { describeCron } from "./describe-cron.ts";
import { parseCron } from "./parse-cron.ts";
import type { Schedule } from "./schedule.ts";

/**
 * The schedule in English, for a person who wants to see whether it is meant.
 * What is left at its default is not said.
 *
 * @param jobUid what `H` in a cron expression is spread by; without it `H` is refused
 * @throws CronFault for an expression that cannot be read
 */
export function describeSchedule(schedule: Schedule, jobUid?: string): string {
  const parts = [ruleWords(schedule, jobUid)];
  if (schedule.startMs !== null) parts.push(`from ${instant(schedule.startMs)}`);
  if (schedule.endMs !== null) parts.push(`before ${instant(schedule.endMs)}`);
  if (schedule.maxFires > 0) parts.push(schedule.maxFires === 1 ? "once" : `at most ${schedule.maxFires} times`);
  if (schedule.jitterMs > 0) parts.push(`each delayed by up to ${duration(schedule.jitterMs)}`);
  if (schedule.when.kind === "cron") parts.push(...clockChangeWords(schedule));
  return parts.join(", ");
}

function ruleWords(schedule: Schedule, jobUid: string | undefined): string {
  const { when } = schedule;
  switch (when.kind) {
    case "cron": {
      const words = when.expressions.map((text) => describeCron(parseCron(text, "schedule.cron", jobUid)));
      return `${words.join("; and ")}, ${schedule.timeZone} time`;
    }
    case "interval":
      return `every ${duration(when.intervalMs)}`;
    case "at":
      return `once at ${instant(when.atMs)}`;
  }
}

function clockChangeWords(schedule: Schedule): string[] {
  const parts: string[] = [];
  if (schedule.dstGapPolicy === "SKIP") parts.push("left out where a clock change skips the time");
  if (schedule.dstOverlapPolicy === "SECOND") parts.push("at the second of two where a clock change repeats the time");
  if (schedule.dstOverlapPolicy === "BOTH") parts.push("twice where a clock change repeats the time");
  return parts;
}

function instant(ms: number): string {
  return new Date(ms).toISOString().replace(".000Z", "Z");
}

const UNITS = [
  { ms: 86_400_000, name: "day" },
  { ms: 3_600_000, name: "hour" },
  { ms: 60_000, name: "minute" },
  { ms: 1_000, name: "second" },
  { ms: 1, name: "millisecond" },
] as const;

function duration(ms: number): string {
  const parts: string[] = [];
  let rest = ms;
  for (const unit of UNITS) {
    const count = Math.floor(rest / unit.ms);
    rest -= count * unit.ms;
    if (count > 0) parts.push(`${count} ${unit.name}${count === 1 ? "" : "s"}`);
  }
  return parts.join(" ");
}
