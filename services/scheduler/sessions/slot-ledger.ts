/**
 * Rule 20: room is free − (sent − received). `free` and `received` are what the
 * executor last said; `sent` counts keys that this home gave it under the
 * session, reservations that are not sent yet among them.
 */
export class SlotLedger {
  #free = 0;
  #received = 0;
  #sent = 0;

  /** Slots that can be given out now, at least 0. */
  get room(): number {
    return Math.max(0, this.#free - (this.#sent - this.#received));
  }

  /** Keys given out that the executor has not confirmed. */
  get underWay(): number {
    return this.#sent - this.#received;
  }

  /** One more key goes to the executor. */
  take(): void {
    this.#sent += 1;
  }

  /** A key that was taken and never sent. */
  giveBack(): void {
    this.#sent -= 1;
  }

  /** No more keys can be under way to a capability than to the executor: a stop counts for the executor alone. */
  bound(underWay: number): void {
    this.#sent = Math.min(this.#sent, this.#received + Math.max(underWay, 0));
  }

  /**
   * What the executor says. It may have received a key that was never counted
   * here (a stop told it of one, or a claim whose outcome was unknown was
   * committed after all): such a key is counted now, so that it does not look
   * like room for the rest of the session.
   */
  heard(free: number, received: number): void {
    this.#free = free;
    this.#received = received;
    this.#sent = Math.max(this.#sent, received);
  }
}
