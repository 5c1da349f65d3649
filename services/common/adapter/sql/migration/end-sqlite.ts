/** Ends for lists, on SQLite. Frozen: changes are new migrations. */
export const endSqlite = [
  `CREATE TABLE IF NOT EXISTS "unsuccessful_ends" (
    "execution_id" varchar(36) PRIMARY KEY NOT NULL,
    "namespace" varchar(64) NOT NULL,
    "state" tinyint NOT NULL,
    "state_reason" tinyint NOT NULL,
    "job_id" varchar(64)
  )`,
  `CREATE INDEX IF NOT EXISTS "ix_unsuccessful_ends_state" ON "unsuccessful_ends" ("namespace", "state", "execution_id")`,
  `CREATE INDEX IF NOT EXISTS "ix_unsuccessful_ends_reason" ON "unsuccessful_ends" ("namespace", "state_reason", "execution_id")`,
  `CREATE INDEX IF NOT EXISTS "ix_unsuccessful_ends_job" ON "unsuccessful_ends" ("job_id", "namespace", "execution_id") WHERE "job_id" IS NOT NULL`,
] as const;
