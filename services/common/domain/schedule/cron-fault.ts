/** The part of a cron expression that a fault is in. */
export type CronFieldName = "expression" | "second" | "minute" | "hour" | "day-of-month" | "month" | "day-of-week";

/** A cron expression that cannot be read, with the place and what is allowed there. */
export class CronFault extends Error {
  override readonly name = "CronFault";
  /** Index of the character at fault in the expression, from 0; its length when something is missing. */
  readonly position: number;
  /** The cron field at fault. */
  readonly field: CronFieldName;
  /** Path of the request's field that held the expression, for example "job.schedule.cron". */
  readonly path: string;
  /** What is wrong and what is allowed, without the place. */
  readonly reason: string;

  constructor(path: string, expression: string, position: number, field: CronFieldName, reason: string) {
    const where = field === "expression" ? "" : ` in the ${field} field`;
    super(`${path}: ${JSON.stringify(expression)}, position ${position}${where}: ${reason}`);
    this.path = path;
    this.position = position;
    this.field = field;
    this.reason = reason;
  }
}
