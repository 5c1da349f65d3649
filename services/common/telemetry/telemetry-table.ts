import { METRICS, type MetricEntry } from "./metric-names.ts";
import { ATTRIBUTES, SPANS } from "./names.ts";

/** Renders docs/telemetry.md from the declared names. */
export function renderTelemetryTable(): string {
  const metrics = Object.entries<MetricEntry>(METRICS).map(
    ([name, { kind, unit, labels, meaning }]) =>
      `| \`${name}\` | ${kind} | ${unit} | ${labels.join(", ")} | ${meaning} |`,
  );
  return `${[
    "# Telemetry",
    "",
    "<!-- Generated from services/common/telemetry; a test compares. -->",
    "",
    "An execution is one trace from its submission to its stored result, over Kafka and sessions, retries included. Set",
    "`OTEL_EXPORTER_OTLP_ENDPOINT` to export it; without an endpoint the SDK is not loaded and the trace context is",
    "still carried on. Metrics are served as Prometheus text at `/metrics` of `JOBMESH_HTTP_LISTEN`, beside `/healthz`",
    "and `/readyz`. Code can emit no name but these.",
    "",
    "## Spans",
    "",
    "| span | meaning |",
    "|---|---|",
    ...rows(SPANS),
    "",
    "## Attributes",
    "",
    "| attribute | meaning |",
    "|---|---|",
    ...rows(ATTRIBUTES),
    "",
    "## Metrics",
    "",
    "| metric | kind | unit | labels | meaning |",
    "|---|---|---|---|---|",
    ...metrics,
  ].join("\n")}\n`;
}

function rows(table: Readonly<Record<string, string>>): string[] {
  return Object.entries(table).map(([name, meaning]) => `| \`${name}\` | ${meaning} |`);
}
