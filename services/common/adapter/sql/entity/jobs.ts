import { column, identifier, noTimeUs, nullable, primary, sparse, type Table, timeUs, unique, uuid } from "./column.ts";

/** Job definitions. The first eleven columns are those that readers of the old tables know, filled. */
export const jobs: Table = {
  name: "jobs",
  columns: {
    job_id: identifier,
    name: column("varchar", 255),
    /** Command line, method or URL. */
    command: column("text"),
    /** 0 on demand or one instant, 1 periodic. */
    type: column("tinyint"),
    priority: column("int"),
    /** The first 100 characters of the first expression. */
    cron_expression: nullable(column("varchar", 100)),
    /** Seconds, rounded up. */
    timeout: column("int"),
    /** Attempts after the first. */
    retry_count: column("int"),
    /** Seconds, rounded up. */
    retry_interval: column("int"),
    create_time: column("datetime"),
    update_time: column("datetime"),
    job_uid: primary(uuid),
    namespace: identifier,
    description: column("text"),
    /** JSON; "" when there are none. */
    labels: column("text"),
    /** 1 command, 2 handler, 3 grpc, 4 http. */
    target_kind: column("tinyint"),
    target_method: column("varchar", 255),
    target: column("blob"),
    /** JSON. */
    schedule: nullable(column("text")),
    /** JSON of the fields that differ from the default policy; "" when none does. */
    policy: column("text"),
    paused: column("tinyint"),
    pause_reason: column("varchar", 1024),
    revision: column("bigint"),
    create_us: timeUs,
    update_us: timeUs,
    next_fire_us: noTimeUs,
    last_fire_us: noTimeUs,
    fire_count: column("bigint"),
    shard: column("smallint"),
    /** The shard while it has a next fire and is not paused. */
    due_shard: nullable(column("smallint")),
    /** JSON; NULL when there are none. */
    parameters: nullable(column("text")),
  },
  indexes: [unique("ux_jobs_id", "namespace", "job_id"), sparse("ix_jobs_due", "due_shard", "next_fire_us", "job_uid")],
};

/** What a job was before each change, for history and for executions made under it. */
export const jobRevisions: Table = {
  name: "job_revisions",
  columns: {
    job_uid: primary(uuid),
    revision: primary(column("bigint")),
    replaced_us: timeUs,
    /** JSON of the spec; the target's bytes in base64. */
    spec: column("mediumtext"),
  },
  indexes: [],
};
