/**
 * Start deadlines and retention on MySQL and MariaDB. Frozen: changes are new
 * migrations. One statement, which the engine does whole or not at all.
 */
export const deadlineMysql: readonly string[] = [
  `ALTER TABLE executions
    ADD COLUMN start_deadline_us bigint NULL,
    ADD COLUMN give_up_us bigint NULL,
    ADD COLUMN expire_us bigint NULL,
    ADD INDEX ix_executions_deadline (start_deadline_us),
    ADD INDEX ix_executions_expire (expire_us)`,
];
