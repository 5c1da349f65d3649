/** What the handlers of a benchmark saw: how often each execution ran, and when it first started. */
export type RunReport = {
  readonly runs: number;
  /** Executions that ran more than once. */
  readonly doubled: number;
  /** First start of each execution, microseconds of Unix time. */
  readonly starts: readonly (readonly [executionId: string, startUs: number])[];
};

/** Truth outside the mesh: the handlers' own record. */
export class RunRecord {
  readonly #starts = new Map<string, number>();
  #runs = 0;

  /** Notes a run. */
  note(executionId: string): void {
    this.#runs += 1;
    if (this.#starts.has(executionId)) return;
    this.#starts.set(executionId, Math.round((performance.timeOrigin + performance.now()) * 1000));
  }

  /** Runs since the last report. */
  get count(): number {
    return this.#runs;
  }

  /** What was noted since the last call. */
  take(): RunReport {
    const report = { runs: this.#runs, doubled: this.#runs - this.#starts.size, starts: [...this.#starts] };
    this.#starts.clear();
    this.#runs = 0;
    return report;
  }
}

/** Serves the record to the process that forked this one. */
export function serveRecord(record: RunRecord, stop: () => Promise<void>): void {
  process.on("message", (message) => {
    if (message === "report") process.send?.({ kind: "report", report: record.take() });
    if (message === "count") process.send?.({ kind: "count", count: record.count });
    if (message === "stop") void stop().then(() => process.disconnect());
  });
}
