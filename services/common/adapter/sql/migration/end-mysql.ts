/** Ends for lists, on MySQL and MariaDB. Frozen: changes are new migrations. */
export const endMysql = [
  `CREATE TABLE IF NOT EXISTS unsuccessful_ends (
    execution_id char(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    namespace varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    state tinyint NOT NULL,
    state_reason tinyint NOT NULL,
    job_id varchar(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
    INDEX ix_unsuccessful_ends_state (namespace, state, execution_id),
    INDEX ix_unsuccessful_ends_reason (namespace, state_reason, execution_id),
    INDEX ix_unsuccessful_ends_job (job_id, namespace, execution_id),
    PRIMARY KEY (execution_id)
  ) ENGINE=InnoDB`,
] as const;
