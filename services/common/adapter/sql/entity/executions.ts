import { column, identifier, noTimeUs, nullable, primary, sparse, type Table, timeUs, uuid } from "./column.ts";

/** Executions. Columns that an index begins with are NULL while the row is not to be found by it. */
export const executions: Table = {
  name: "executions",
  columns: {
    execution_id: primary(uuid),
    namespace: identifier,
    job_id: nullable(identifier),
    job_uid: nullable(uuid),
    job_revision: column("bigint"),
    name: column("varchar", 255),
    cause: column("tinyint"),
    state: column("tinyint"),
    state_reason: column("tinyint"),
    state_message: column("varchar", 1024),
    /** 1 command, 2 handler, 3 grpc, 4 http. */
    target_kind: column("tinyint"),
    target_method: column("varchar", 255),
    target_summary: column("varchar", 1024),
    target: column("blob"),
    /** JSON of the fields that differ from the default policy; "" when none does. */
    policy: column("text"),
    /** JSON; "" when there are none. */
    labels: column("text"),
    route_id: column("bigint"),
    /** route_id while READY and admitted. */
    claim_route: nullable(column("bigint")),
    claim_rank: column("smallint"),
    scheduled_us: timeUs,
    ready_us: noTimeUs,
    shard: column("smallint"),
    /** The shard while SCHEDULED. */
    timer_shard: nullable(column("smallint")),
    overlap: column("tinyint"),
    /** Sorted, one a line. */
    gate_keys: nullable(column("varchar", 1024)),
    /** 1 while it holds its gates. */
    gates_held: nullable(column("tinyint")),
    /** The first gate without room, while READY and not admitted. */
    waiting_gate: nullable(column("varchar", 255)),
    attempt: column("int"),
    fence: nullable(column("char", 16)),
    executor_id: nullable(identifier),
    incarnation: nullable(identifier),
    session_number: nullable(column("bigint")),
    /** executor_id while DISPATCHED or RUNNING. */
    active_executor: nullable(identifier),
    dispatch_us: noTimeUs,
    /** Start of the first attempt. */
    start_us: noTimeUs,
    attempt_start_us: noTimeUs,
    ended_us: noTimeUs,
    create_us: timeUs,
    counted_attempts: column("int"),
    loss_count: column("int"),
    return_streak: column("int"),
    timeout_ms: column("bigint"),
    /** 0 for none. */
    stop_reason: column("tinyint"),
    stop_message: column("varchar", 1024),
    stop_us: noTimeUs,
    result: nullable(column("blob")),
    /** JSON. */
    failure: nullable(column("text")),
    merged_count: column("bigint"),
    merged_until_us: noTimeUs,
    traceparent: column("ascii", 55),
    tracestate: column("varchar", 512),
    change_number: column("bigint"),
    /** While a start is awaited that has a limit. */
    start_deadline_us: noTimeUs,
    /** No retry begins after this; known from the end of the first attempt on. */
    give_up_us: noTimeUs,
    /** When an ended one is deleted whose policy has a retention of its own. */
    expire_us: noTimeUs,
    /** SHA-256 of namespace and unique_key while it has not ended. */
    live_unique_key: nullable(column("char", 64)),
    /** The execution that it repeats. */
    retry_of: nullable(uuid),
    /** JSON; NULL when there are none. */
    parameters: nullable(column("text")),
    /** JSON of the attempt that said so, how far it is and its words. */
    progress: nullable(column("text")),
  },
  indexes: [
    sparse("ix_executions_claim", "claim_route", "claim_rank", "ready_us", "execution_id"),
    sparse("ix_executions_timer", "timer_shard", "ready_us", "execution_id"),
    sparse("ix_executions_active", "active_executor", "incarnation", "dispatch_us", "stop_reason"),
    sparse("ix_executions_waiting", "waiting_gate", "claim_rank", "ready_us", "execution_id"),
    sparse("ix_executions_held", "gates_held", "execution_id"),
    sparse("ix_executions_ended", "ended_us", "execution_id"),
    sparse("ix_executions_job", "job_id", "namespace", "execution_id"),
    sparse("ix_executions_deadline", "start_deadline_us"),
    sparse("ix_executions_expire", "expire_us"),
    { ...sparse("ux_executions_unique", "live_unique_key"), unique: true },
  ],
};
