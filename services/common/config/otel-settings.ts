import { choice, custom, type Declaration, integer, labels, optional, type Setting, toggle } from "./setting.ts";

const SAMPLERS = [
  "always_on",
  "always_off",
  "traceidratio",
  "parentbased_always_on",
  "parentbased_always_off",
  "parentbased_traceidratio",
] as const;

/** How traces are sampled, by OpenTelemetry's names. */
export type SamplerName = (typeof SAMPLERS)[number];

const PROTOCOLS = ["grpc", "http/protobuf", "http/json"] as const;

/** How traces travel, by OpenTelemetry's names. */
export type OtlpProtocol = (typeof PROTOCOLS)[number];

/**
 * OpenTelemetry's own names, with its meanings. What is not here and begins
 * with OTEL_ (headers, timeouts) the SDK reads by itself.
 */
export const otelSettings = {
  otlpEndpoint: endpoint("OTEL_EXPORTER_OTLP_ENDPOINT", "Where traces go; without one of the two nothing is exported."),
  otlpTracesEndpoint: endpoint("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "The same for traces alone, with its full path."),
  otlpProtocol: choice(
    { env: "OTEL_EXPORTER_OTLP_PROTOCOL", default: "http/protobuf", meaning: "How traces travel." },
    PROTOCOLS,
  ),
  otlpTracesProtocol: optional((declared) => choice(declared, PROTOCOLS), {
    env: "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    meaning: "The same for traces alone.",
  }),
  tracesExporter: choice(
    { env: "OTEL_TRACES_EXPORTER", default: "otlp", meaning: "Whether traces are exported where an endpoint is set." },
    ["otlp", "none"],
  ),
  tracesSampler: choice(
    { env: "OTEL_TRACES_SAMPLER", default: "parentbased_always_on", meaning: "Which traces are exported." },
    SAMPLERS,
  ),
  tracesSamplerRatio: custom<number>(
    { env: "OTEL_TRACES_SAMPLER_ARG", default: "1", meaning: "Part of the traces for the ratio samplers." },
    "0 to 1",
    (given) => {
      const ratio = Number(given);
      return given.trim() !== "" && ratio >= 0 && ratio <= 1 ? { value: ratio } : { fault: "must be 0 to 1" };
    },
  ),
  spanQueueSize: integer(
    { env: "OTEL_BSP_MAX_QUEUE_SIZE", default: "16384", meaning: "Spans that wait to be exported; more are dropped." },
    { min: 1, max: 1_000_000 },
  ),
  spanBatchSize: integer(
    { env: "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", default: "1024", meaning: "Spans in one export." },
    { min: 1, max: 100_000 },
  ),
  spanDelayMs: integer(
    { env: "OTEL_BSP_SCHEDULE_DELAY", default: "1000", meaning: "Milliseconds between exports." },
    { min: 1, max: 60_000 },
  ),
  otelServiceName: optional((declared) => custom<string>(declared, "text", (value) => ({ value })), {
    env: "OTEL_SERVICE_NAME",
    meaning: 'Name of the service in traces; unset: "jobmesh-" and the process.',
  }),
  otelResource: labels({
    env: "OTEL_RESOURCE_ATTRIBUTES",
    default: "",
    meaning: "More attributes of the process in traces.",
  }),
  otelDisabled: toggle({ env: "OTEL_SDK_DISABLED", default: "false", meaning: "Exports nothing." }),
};

function endpoint(env: string, meaning: string): Setting<string | null> {
  return optional(url, { env, meaning });
}

function url(declared: Declaration): Setting<string> {
  return custom<string>(declared, "http://host:port[/path]", (given) => {
    if (/^https?:\/\//.test(given) && URL.canParse(given)) return { value: given };
    return { fault: "must be http://host:port, with a path where there is one" };
  });
}
