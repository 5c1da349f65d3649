import { column, identifier, index, primary, type Table, timeUs } from "./column.ts";

/** Calls that were made once, for a day (rule 5). */
export const requests: Table = {
  name: "requests",
  columns: {
    namespace: primary(identifier),
    method: primary(column("ascii", 16)),
    request_id: primary(column("exact", 256)),
    body_hash: column("char", 64),
    /** The execution_id or job_uid that it made. */
    result_id: column("ascii", 64),
    expire_us: timeUs,
  },
  indexes: [index("ix_requests_expire", "expire_us")],
};
