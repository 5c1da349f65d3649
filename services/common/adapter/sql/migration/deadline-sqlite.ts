/** Start deadlines and retention on SQLite. Frozen: changes are new migrations. */
export const deadlineSqlite: readonly string[] = [
  `ALTER TABLE "executions" ADD COLUMN "start_deadline_us" bigint`,
  `ALTER TABLE "executions" ADD COLUMN "give_up_us" bigint`,
  `ALTER TABLE "executions" ADD COLUMN "expire_us" bigint`,
  `CREATE INDEX "ix_executions_deadline" ON "executions" ("start_deadline_us") WHERE "start_deadline_us" IS NOT NULL`,
  `CREATE INDEX "ix_executions_expire" ON "executions" ("expire_us") WHERE "expire_us" IS NOT NULL`,
];
