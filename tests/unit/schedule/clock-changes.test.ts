import assert from "node:assert/strict";
import { test } from "node:test";
import { compileSchedule } from "../../../services/common/domain/schedule/compiled-schedule.ts";
import { type Schedule, scheduleDefaults } from "../../../services/common/domain/schedule/schedule.ts";
import { oracleCron } from "./cron-oracle.ts";
import { drawExpression } from "./cron-sample.ts";
import { type SeededDraw, seededDraw } from "./seeded-draw.ts";
import { changeDays, type OraclePolicies, walkFires, walkZone } from "./zone-walk.ts";

/** JOBMESH_CLOCKS=all takes every clock change instead of a sample. */
const ALL = process.env.JOBMESH_CLOCKS === "all";
const SEED = Number(process.env.JOBMESH_SEED ?? 20_261_101);
const EXPRESSIONS_A_CHANGE = ALL ? 40 : 25;
const CHANGES_A_ZONE = ALL ? Number.POSITIVE_INFINITY : 5;

const HOUR_MS = 3_600_000;

/** Zones with odd rules first. */
const ZONES = [
  ..."Australia/Lord_Howe Pacific/Chatham Antarctica/Troll Pacific/Apia Africa/Casablanca Africa/Cairo".split(" "),
  ..."Asia/Gaza Asia/Tehran America/Sao_Paulo America/Havana Atlantic/Azores America/Santiago".split(" "),
  ..."Europe/Berlin America/New_York Europe/London Europe/Dublin Europe/Lisbon Europe/Moscow".split(" "),
  ..."Europe/Istanbul Asia/Jerusalem Asia/Beirut Asia/Amman Asia/Damascus Asia/Baghdad Asia/Dhaka".split(" "),
  ..."Asia/Karachi Asia/Pyongyang Asia/Kathmandu Asia/Colombo Africa/Tripoli Africa/Windhoek Africa/Khartoum".split(
    " ",
  ),
  ..."America/St_Johns America/Caracas America/Asuncion America/Godthab America/Scoresbysund".split(" "),
  ..."America/Argentina/San_Luis America/Mexico_City America/Los_Angeles Pacific/Auckland Pacific/Fiji".split(" "),
  ..."Pacific/Tongatapu Pacific/Fakaofo Pacific/Norfolk Australia/Sydney Antarctica/Casey Antarctica/Macquarie".split(
    " ",
  ),
];

function drawChanges(draw: SeededDraw, zone: string): number[] {
  const left = changeDays(zone, 2000, 2035);
  const taken: number[] = [];
  while (left.length > 0 && taken.length < CHANGES_A_ZONE) taken.push(...left.splice(draw.below(left.length), 1));
  return taken;
}

function drawPolicies(draw: SeededDraw): OraclePolicies {
  return {
    gap: draw.pick(["FIRE_AFTER", "FIRE_AFTER", "SKIP"]),
    overlap: draw.pick(["FIRST", "FIRST", "SECOND", "BOTH"]),
  };
}

/** The first place where two lists differ, for a message that can be read. */
function firstDifference(found: readonly number[], expected: readonly number[]): string | null {
  const at = Array.from({ length: Math.max(found.length, expected.length) }, (_, index) => index).find(
    (index) => found[index] !== expected[index],
  );
  const iso = (time: number | undefined) => (time === undefined ? "none" : new Date(time).toISOString());
  return at === undefined ? null : `fire ${at} of ${expected.length} is ${iso(found[at])}, not ${iso(expected[at])}`;
}

/** Asks next, count and previous for the fires in a window and compares them with the oracle's. */
function checkFires(schedule: Schedule, expected: readonly number[], fromMs: number, toMs: number, what: string): void {
  const compiled = compileSchedule(schedule, 0);
  const found: number[] = [];
  for (let next = compiled.next(fromMs - 1); next !== null && next < toMs; next = compiled.next(next)) found.push(next);
  assert.equal(firstDifference(found, expected), null, what);
  assert.equal(compiled.count(fromMs, toMs), expected.length, `count of ${what}`);
  assert.equal(compiled.previous(toMs, fromMs), expected.at(-1) ?? null, `previous of ${what}`);
}

test("fires around clock changes equal those of an oracle that walks minute by minute", (t) => {
  const draw = seededDraw(SEED);
  let pairs = 0;
  let zones = 0;
  let fires = 0;
  for (const zone of ZONES) {
    const changes = drawChanges(draw, zone);
    if (changes.length > 0) zones += 1;
    for (const changeMs of changes) {
      const walk = walkZone(zone, changeMs - 54 * HOUR_MS, changeMs + 30 * HOUR_MS);
      const fromMs = changeMs - 44 * HOUR_MS;
      const toMs = changeMs + 18 * HOUR_MS;
      // Local minutes within the day that holds the change: where the offset is another at once, likely.
      const near = walk.localMinutes.findIndex(
        (local, index) => local !== (walk.localMinutes[index - 1] ?? local - 1) + 1,
      );
      for (let count = 0; count < EXPRESSIONS_A_CHANGE; count += 1) {
        const nearMinute = walk.localMinutes[near + draw.below(2) * 60 - draw.below(120)] ?? 0;
        const expressions = [drawExpression(draw, nearMinute)];
        if (draw.onceIn(8)) expressions.push(drawExpression(draw, nearMinute));
        const { gap, overlap } = drawPolicies(draw);
        const expected = new Set(
          expressions
            .flatMap((text) => walkFires(walk, oracleCron(text), { gap, overlap }))
            .filter((fire) => fire >= fromMs && fire < toMs),
        );
        const schedule: Schedule = {
          ...scheduleDefaults,
          when: { kind: "cron", expressions },
          timeZone: zone,
          dstGapPolicy: gap,
          dstOverlapPolicy: overlap,
        };
        const what = `${expressions.join(" and ")} in ${zone} at ${new Date(changeMs).toISOString()}, ${gap}, ${overlap}`;
        checkFires(
          schedule,
          [...expected].sort((left, right) => left - right),
          fromMs,
          toMs,
          what,
        );
        pairs += 1;
        fires += expected.size;
      }
    }
  }
  t.diagnostic(`${pairs} pairs of expression and clock change in ${zones} zones, ${fires} fires, seed ${SEED}`);
  assert.ok(zones >= 40, `${zones} zones`);
  assert.ok(pairs >= 3_000, `${pairs} pairs`);
});
