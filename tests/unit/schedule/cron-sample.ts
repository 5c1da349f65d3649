import type { SeededDraw } from "./seeded-draw.ts";

const MONTHS = ["jan", "Feb", "MAR", "apr", "May", "JUN", "jul", "Aug", "SEP", "oct", "Nov", "DEC"];
const DAYS = ["sun", "Mon", "TUE", "wed", "Thu", "FRI", "sat"];

/**
 * An expression drawn so that it is likely to fire around a local time.
 * @param nearMinute local minute from 1970, as if local time were UTC
 */
export function drawExpression(draw: SeededDraw, nearMinute: number): string {
  const date = new Date(nearMinute * 60_000);
  const hour = date.getUTCHours();
  const fields = [
    draw.pick([minuteField, minuteField, plainMinute])(draw, date.getUTCMinutes()),
    draw.pick([hourField, hourField, plainHour])(draw, hour),
    monthDayField(draw, date.getUTCDate()),
    monthField(draw, date.getUTCMonth() + 1),
    weekDayField(draw, date.getUTCDay()),
  ];
  if (draw.onceIn(5)) fields.unshift(draw.pick(["0", "30", "5,45", "*/20", "10-12", "7/25"]));
  return fields.join(" ");
}

function plainMinute(draw: SeededDraw, near: number): string {
  return draw.pick([
    String(near),
    "0",
    "30",
    String(draw.below(60)),
    `${draw.below(30)},${30 + draw.below(30)}`,
    "29-31",
  ]);
}

function minuteField(draw: SeededDraw, near: number): string {
  const step = 1 + draw.below(30);
  return draw.pick([plainMinute(draw, near), "*", `*/${step}`, `${draw.below(60)}/${step}`, `10-50/${step}`, "0,*/45"]);
}

function plainHour(draw: SeededDraw, near: number): string {
  const at = (distance: number) => (near + distance + 24) % 24;
  const start = Math.min(near, 20);
  return draw.pick([
    String(near),
    String(at(-1)),
    String(at(1)),
    String(at(2)),
    String(draw.below(24)),
    `${start}-${start + 1 + draw.below(3)}`,
    `${at(-1)},${near},${at(1)}`,
    "0",
    "23",
    "0-23",
  ]);
}

function hourField(draw: SeededDraw, near: number): string {
  const step = 1 + draw.below(6);
  return draw.pick([plainHour(draw, near), "*", `*/${step}`, `${draw.below(4)}/${step}`, `1-23/${step}`, `${near}/1`]);
}

function monthDayField(draw: SeededDraw, near: number): string {
  if (!draw.onceIn(3)) return draw.pick(["*", "*", "?"]);
  const start = Math.max(1, near - 1);
  return draw.pick([
    String(near),
    `${start}-${Math.min(31, start + 2)}`,
    `${near},15`,
    "*/2",
    "1/2",
    "*/3",
    String(near < 28 ? near + 1 : 1),
    "1-31",
  ]);
}

function monthField(draw: SeededDraw, near: number): string {
  if (!draw.onceIn(4)) return "*";
  return draw.pick([String(near), MONTHS[near - 1] ?? "*", `1-${near}`, `${near}/2`, "*/2", `${near},6`]);
}

function weekDayField(draw: SeededDraw, near: number): string {
  if (!draw.onceIn(3)) return "*";
  return draw.pick([
    String(near),
    near === 0 ? "7" : String(near),
    DAYS[near] ?? "*",
    "5-7",
    "Fri-sun",
    "1-5",
    "mon-FRI/2",
    "*/2",
    "0,6",
    `${near}/3`,
    "?",
  ]);
}
