/** Unique keys and retried executions on SQLite. Frozen: changes are new migrations. */
export const uniqueSqlite: readonly string[] = [
  `ALTER TABLE "executions" ADD COLUMN "live_unique_key" varchar(64)`,
  `ALTER TABLE "executions" ADD COLUMN "retry_of" varchar(36)`,
  `CREATE UNIQUE INDEX "ux_executions_unique" ON "executions" ("live_unique_key") WHERE "live_unique_key" IS NOT NULL`,
];
