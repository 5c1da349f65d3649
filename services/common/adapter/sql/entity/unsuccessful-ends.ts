import { column, identifier, index, nullable, primary, sparse, type Table, uuid } from "./column.ts";

/** Executions that ended otherwise than SUCCEEDED, for lists: a copy of what these look for. */
export const unsuccessfulEnds: Table = {
  name: "unsuccessful_ends",
  columns: {
    execution_id: primary(uuid),
    namespace: identifier,
    state: column("tinyint"),
    state_reason: column("tinyint"),
    job_id: nullable(identifier),
  },
  indexes: [
    index("ix_unsuccessful_ends_state", "namespace", "state", "execution_id"),
    index("ix_unsuccessful_ends_reason", "namespace", "state_reason", "execution_id"),
    sparse("ix_unsuccessful_ends_job", "job_id", "namespace", "execution_id"),
  ],
};
