/** Every metric, once, by the name that Prometheus shows. Units are base units: seconds, bytes, counts. */

/** What is declared of a metric. */
export interface MetricEntry {
  readonly kind: "counter" | "histogram" | "gauge";
  /** UCUM: "s", "By", "1", or what is counted in braces. */
  readonly unit: string;
  readonly meaning: string;
  readonly labels: readonly string[];
  /** Upper bounds of a histogram's buckets. */
  readonly buckets: readonly number[];
}

/** Bounds for times that should be a millisecond and may be a minute. */
const TIME_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60] as const;

/** Bounds for sizes of batches and groups. */
const BATCH_BUCKETS = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000] as const;

/** Metrics by name. */
export const METRICS = {
  jobmesh_submissions_total: counter(
    "{execution}",
    "Executions taken in; source is submit, run, schedule, backfill or retry.",
    "source",
  ),
  jobmesh_submit_group_rows: histogram("{row}", "Submissions stored by one transaction.", BATCH_BUCKETS),
  jobmesh_fires_total: counter(
    "{fire}",
    "Fires of schedules; outcome is stored, skipped, or refused where the job had changed or another owner was first.",
    "outcome",
  ),
  jobmesh_dispatches_total: counter(
    "{attempt}",
    "Attempts given to executors; way is direct at the submission, fire ahead of its time, claim, or resend of one without a sign.",
    "way",
  ),
  jobmesh_claim_rows: histogram("{row}", "Executions claimed by one query that found some.", BATCH_BUCKETS),
  jobmesh_results_total: counter(
    "{result}",
    "Results judged by the store; outcome is stored, or stale where the attempt was not current any more.",
    "outcome",
  ),
  jobmesh_result_batch_rows: histogram("{row}", "Results stored by one transaction.", BATCH_BUCKETS),
  jobmesh_attempts_ended_total: counter(
    "{attempt}",
    "Attempts that ended, by state: SUCCEEDED, FAILED, TIMED_OUT, CANCELLED, RETURNED or LOST.",
    "state",
  ),
  jobmesh_executions_ended_total: counter(
    "{execution}",
    "Executions that ended by a result, a loss, a cancel or a skipped fire, by final state.",
    "state",
  ),
  jobmesh_live_executions: gauge(
    "{execution}",
    "Executions of the whole mesh by state, SCHEDULED, READY or RUNNING; sampled, each scheduler shows all.",
    "state",
  ),
  jobmesh_oldest_ready_seconds: gauge("s", "How long the oldest READY execution of the mesh has waited; sampled."),
  jobmesh_store_seconds: histogram("s", "Calls of the store, tries and waits included, by call.", TIME_BUCKETS, "call"),
  jobmesh_backend_up: gauge("1", "1 while a backend answers; backend is store, bus or registry.", "backend"),
  jobmesh_sessions: gauge("{session}", "Executor sessions that this scheduler holds."),
  jobmesh_slots: gauge("{slot}", "Slots of the executors homed here; use is free or taken.", "use"),
  jobmesh_executors_lost_total: counter("{executor}", "Executors that this scheduler declared lost."),
  jobmesh_owned: gauge("1", "What this scheduler owns; what is shards or result_partitions.", "what"),
  jobmesh_events_behind_seconds: gauge(
    "s",
    "How far execution.v1 is behind the ends in the store; told by the scheduler that writes it, NaN on others.",
  ),
  jobmesh_hints_total: counter(
    "{hint}",
    "Hints told to the loops of this scheduler; origin is local or peer.",
    "kind",
    "origin",
  ),
  jobmesh_clock_offset_seconds: gauge("s", "The process's clock minus mesh time."),
  jobmesh_clock_uncertainty_seconds: gauge("s", "How well mesh time is known."),
  jobmesh_gate_drift_total: counter("{gate}", "Gates whose count was put right by the recount."),
  jobmesh_executor_attempts: gauge("{attempt}", "Attempts that this executor runs."),
  jobmesh_executor_slots: gauge("{slot}", "Attempts that it may run at once."),
  jobmesh_executor_received_total: counter("{attempt}", "Events taken; way is kafka or session.", "way"),
  jobmesh_executor_duplicates_total: counter("{attempt}", "Events dropped because their key was known."),
  jobmesh_executor_returned_total: counter("{attempt}", "Attempts handed back, by reason.", "reason"),
  jobmesh_executor_run_seconds: histogram("s", "How long attempts ran, by kind of target.", TIME_BUCKETS, "target"),
  jobmesh_executor_wait_seconds: histogram(
    "s",
    "From an attempt's dispatch in the store, or the time it is held for, to its start, by mesh time.",
    TIME_BUCKETS,
  ),
  jobmesh_executor_lateness_seconds: histogram(
    "s",
    "From an execution's nominal time to the start of its first attempt, by mesh time.",
    TIME_BUCKETS,
  ),
  jobmesh_executor_output_dropped_bytes_total: counter("By", "Output left out because it did not fit."),
  jobmesh_executor_homed: gauge("1", "1 while a scheduler holds its session."),
  jobmesh_executor_kept_results: gauge("{result}", "Results kept until the store has them."),
  jobmesh_executor_kept_bytes: gauge("By", "Their size."),
  jobmesh_executor_fenced_total: counter("{incarnation}", "Times that it stopped its attempts because it was cut off."),
  jobmesh_rpc_calls_total: counter("{call}", "Calls answered, by method and status code.", "method", "code"),
  jobmesh_rpc_seconds: histogram("s", "How long unary calls took to answer.", TIME_BUCKETS, "method"),
  jobmesh_event_loop_delay_seconds: gauge("s", "Longest delay of the event loop since the last reading."),
  process_cpu_seconds_total: counter("s", "Processor time of the process."),
  process_resident_memory_bytes: gauge("By", "Resident memory of the process."),
  process_start_time_seconds: gauge("s", "Start of the process, in seconds of Unix time."),
} as const satisfies Record<string, MetricEntry>;

type Table = typeof METRICS;
type NameOf<Kind> = { [K in keyof Table]: Table[K] extends { kind: Kind } ? K : never }[keyof Table];

/** Name of any metric. */
export type MetricName = keyof Table;
/** Name of a counter. */
export type CounterName = NameOf<"counter">;
/** Name of a histogram. */
export type HistogramName = NameOf<"histogram">;
/** Name of a gauge. */
export type GaugeName = NameOf<"gauge">;
/** Labels that a metric takes, all of them. */
export type LabelsOf<N extends MetricName> = Readonly<Record<Table[N]["labels"][number], string>>;

type Entry<Kind, Label extends string> = MetricEntry & { readonly kind: Kind; readonly labels: readonly Label[] };

function counter<L extends string = never>(unit: string, meaning: string, ...labels: L[]): Entry<"counter", L> {
  return { kind: "counter", unit, meaning, labels, buckets: [] };
}

function gauge<L extends string = never>(unit: string, meaning: string, ...labels: L[]): Entry<"gauge", L> {
  return { kind: "gauge", unit, meaning, labels, buckets: [] };
}

function histogram<L extends string = never>(
  unit: string,
  meaning: string,
  buckets: readonly number[],
  ...labels: L[]
): Entry<"histogram", L> {
  return { kind: "histogram", unit, meaning, labels, buckets };
}
