import { readFileSync, writeFileSync } from "node:fs";
import type { BenchResults, MeshResults } from "./results.ts";
import { percentile } from "./statistics.ts";

const README = new URL("../README.md", import.meta.url);
const BEGIN = "<!-- bench -->";
const END = "<!-- /bench -->";

/** The results as a Markdown table, with what was measured where. */
export function renderTable(results: BenchResults): string {
  const rows: readonly (readonly [string, (mesh: MeshResults) => string])[] = [
    ["executions a second, median (spread)", throughputCell],
    ["submit to start on an idle mesh, p50 / p99", ({ start }) => pair(start.p50Ms, start.p99Ms)],
    ["lateness of one cron each second, p50 / p99", ({ eachSecond }) => pair(eachSecond.p50Ms, eachSecond.p99Ms)],
    ["lateness of 100 jobs at one second, p50 / p99", ({ sameSecond }) => pair(sameSecond.p50Ms, sameSecond.p99Ms)],
    ["lost / doubled", lossCell],
  ];
  return [
    `| | ${results.meshes.map(({ mesh }) => mesh).join(" | ")} |`,
    `|---|${results.meshes.map(() => "---").join("|")}|`,
    ...rows.map(([name, cell]) => `| ${name} | ${results.meshes.map(cell).join(" | ")} |`),
    "",
    `Measured ${results.time.slice(0, 10)} at ${results.commit} on ${results.machine}, Node ${results.node}, with all servers and`,
    "the client on that machine.",
  ].join("\n");
}

/** Puts the table between its marks in the README. */
export function writeReadmeTable(results: BenchResults): void {
  const readme = readFileSync(README, "utf8");
  const from = readme.indexOf(BEGIN) + BEGIN.length;
  const to = readme.indexOf(END);
  writeFileSync(README, `${readme.slice(0, from)}\n${renderTable(results)}\n${readme.slice(to)}`);
}

function throughputCell({ throughput }: MeshResults): string {
  const rates = throughput.map(({ perSecond }) => perSecond);
  const text = (rate: number): string => rate.toLocaleString("en-US");
  return `${text(percentile(rates, 0.5))} (${text(Math.min(...rates))}–${text(Math.max(...rates))})`;
}

function lossCell({ throughput, eachSecond, sameSecond }: MeshResults): string {
  const all = [...throughput, eachSecond, sameSecond];
  const sum = (pick: (one: { lost: number; doubled: number }) => number): number =>
    all.reduce((total, one) => total + pick(one), 0);
  return `${sum(({ lost }) => lost)} / ${sum(({ doubled }) => doubled)}`;
}

function pair(first: number, second: number): string {
  return `${first.toFixed(1)} / ${second.toFixed(1)} ms`;
}
