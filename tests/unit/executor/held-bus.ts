import type { ExecutorBus, ResultPosition } from "../../../services/common/port/bus.ts";

/** A bus whose sends the test settles. */
export class HeldBus implements ExecutorBus {
  readonly kind = "memory";
  readonly resultPartitions = 1;
  readonly sends: PromiseWithResolvers<ResultPosition>[] = [];
  healthy = true;

  async start(): Promise<void> {}
  async stop(): Promise<void> {}
  health() {
    return { healthy: this.healthy, message: "" };
  }
  onOrder(): void {}
  sendResult(): Promise<ResultPosition> {
    const send = Promise.withResolvers<ResultPosition>();
    this.sends.push(send);
    return send.promise;
  }
}
