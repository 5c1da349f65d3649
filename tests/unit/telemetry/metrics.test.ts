import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { createMetrics } from "../../../services/common/telemetry/create-metrics.ts";
import { METRICS, type MetricEntry } from "../../../services/common/telemetry/metric-names.ts";
import { showProcess } from "../../../services/common/telemetry/process-metrics.ts";
import { MAX_SERIES } from "../../../services/common/telemetry/sdk-metrics.ts";
import { renderTelemetryTable } from "../../../services/common/telemetry/telemetry-table.ts";

const process = { serviceName: "jobmesh-test", instanceId: "i", version: "1" };

/** Value of one series, by its whole name with labels. */
function seriesValue(text: string, series: string): number | null {
  const line = text.split("\n").find((candidate) => candidate.startsWith(`${series} `));
  return line === undefined ? null : Number(line.slice(series.length + 1));
}

test("docs/telemetry.md is what the tables say", async () => {
  const written = await readFile(new URL("../../../docs/telemetry.md", import.meta.url), "utf8");
  assert.equal(written, renderTelemetryTable(), "write it again: node scripts/docs.ts");
});

test("names follow Prometheus: counters end in _total, seconds and bytes say so", () => {
  for (const [name, { kind, unit, buckets }] of Object.entries<MetricEntry>(METRICS)) {
    assert.match(name, /^[a-z][a-z0-9_]+$/);
    assert.equal(name.endsWith("_total"), kind === "counter", name);
    const base = name.replace(/_total$/, "");
    if (unit === "s") assert.ok(base.endsWith("_seconds"), name);
    if (unit === "By") assert.ok(base.endsWith("_bytes"), name);
    assert.deepEqual(
      [...buckets],
      [...buckets].sort((left, right) => left - right),
      name,
    );
    assert.equal(buckets.length > 0, kind === "histogram", name);
  }
});

test("counters, histograms and gauges are rendered under the names of the table", async () => {
  const metrics = await createMetrics(process);
  const ended = metrics.counter("jobmesh_executions_ended_total", { state: "SUCCEEDED" });
  ended.add(2);
  metrics.counter("jobmesh_executions_ended_total", { state: "SUCCEEDED" }).add(3);
  metrics.counter("jobmesh_executions_ended_total", { state: "FAILED" }).add(1);
  metrics.histogram("jobmesh_executor_wait_seconds", {}).record(0.004);
  let sessions: number | null = 7;
  const end = metrics.gauge("jobmesh_sessions", {}, () => sessions);
  const text = await metrics.render();
  assert.equal(seriesValue(text, 'jobmesh_executions_ended_total{state="SUCCEEDED"}'), 5);
  assert.equal(seriesValue(text, 'jobmesh_executions_ended_total{state="FAILED"}'), 1);
  assert.equal(seriesValue(text, 'jobmesh_executor_wait_seconds_bucket{le="0.0025"}'), 0);
  assert.equal(seriesValue(text, 'jobmesh_executor_wait_seconds_bucket{le="0.005"}'), 1);
  assert.equal(seriesValue(text, "jobmesh_executor_wait_seconds_count"), 1);
  assert.equal(seriesValue(text, "jobmesh_sessions"), 7);
  assert.match(text, /# TYPE jobmesh_executions_ended_total counter/);
  ended.add(1);
  sessions = null;
  assert.equal(seriesValue(await metrics.render(), 'jobmesh_executions_ended_total{state="SUCCEEDED"}'), 6);
  assert.ok(Number.isNaN(seriesValue(await metrics.render(), "jobmesh_sessions")));
  sessions = 8;
  end();
  assert.ok(Number.isNaN(seriesValue(await metrics.render(), "jobmesh_sessions")));
  await metrics.stop();
});

test("a gauge that is bound again takes its series over", async () => {
  const metrics = await createMetrics(process);
  const endFirst = metrics.gauge("jobmesh_sessions", {}, () => 1);
  metrics.gauge("jobmesh_sessions", {}, () => 2);
  endFirst();
  assert.equal(seriesValue(await metrics.render(), "jobmesh_sessions"), 2);
  await metrics.stop();
});

test("label sets past the limit are counted together", async () => {
  const metrics = await createMetrics(process);
  for (let count = 0; count < MAX_SERIES + 5; count++) {
    metrics.counter("jobmesh_submissions_total", { source: `source-${count}` }).add(1);
  }
  const text = await metrics.render();
  assert.equal(seriesValue(text, 'jobmesh_submissions_total{source="other"}'), 5);
  assert.equal(text.match(/^jobmesh_submissions_total\{/gm)?.length, MAX_SERIES + 1);
  await metrics.stop();
});

test("the process shows its processor time, memory and event loop", async () => {
  const metrics = await createMetrics(process);
  const end = showProcess(metrics);
  await metrics.render();
  const text = await metrics.render();
  assert.ok((seriesValue(text, "process_cpu_seconds_total") ?? 0) > 0);
  assert.ok((seriesValue(text, "process_resident_memory_bytes") ?? 0) > 1e6);
  assert.ok((seriesValue(text, "process_start_time_seconds") ?? 0) > 1.6e9);
  assert.ok((seriesValue(text, "jobmesh_event_loop_delay_seconds") ?? -1) >= 0);
  end();
  await metrics.stop();
});
