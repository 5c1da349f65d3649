/** A live scheduler, as the registry shows it. */
export type SchedulerView = {
  readonly schedulerId: string;
  readonly address: string;
  readonly version: string;
  /** Timer shards that it owns. */
  readonly shardCount: number;
  readonly startUs: number;
};

/** The live schedulers; this one is always among them (rule 30). */
export interface SchedulerViews {
  all(): readonly SchedulerView[];
}
