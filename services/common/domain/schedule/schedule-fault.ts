/** A value of a schedule that is not allowed; cron expressions have CronFault. */
export class ScheduleFault extends Error {
  override readonly name = "ScheduleFault";
  /** Path of the request's field at fault, for example "job.schedule.time_zone". */
  readonly path: string;
  /** What is wrong and what is allowed, without the path. */
  readonly reason: string;

  constructor(path: string, reason: string) {
    super(`${path}: ${reason}`);
    this.path = path;
    this.reason = reason;
  }
}
