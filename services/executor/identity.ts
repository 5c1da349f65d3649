import type { ExecutorId, Incarnation } from "../common/domain/identifier.ts";
import type { Random } from "../common/port/random.ts";

/**
 * Identity is who the executor is now. A lost incarnation never comes back
 * (rule 16): the executor goes on as a new one, which names the old.
 */
export class Identity {
  readonly executorId: ExecutorId;
  readonly #random: Random;
  #incarnation: Incarnation;
  #previous: Incarnation | null;
  #sessionNumber = 0;

  /** @param previous The incarnation before, when it is known to have ended (rule 23). */
  constructor(executorId: ExecutorId, random: Random, previous: Incarnation | null) {
    this.executorId = executorId;
    this.#random = random;
    this.#incarnation = drawIncarnation(random);
    this.#previous = previous;
  }

  get incarnation(): Incarnation {
    return this.#incarnation;
  }

  get previous(): Incarnation | null {
    return this.#previous;
  }

  /** Number of the last Hello of this incarnation; 0 before the first (rule 20). */
  get sessionNumber(): number {
    return this.#sessionNumber;
  }

  /** The number for another Hello. */
  nextSession(): number {
    this.#sessionNumber++;
    return this.#sessionNumber;
  }

  /** Goes on as a new incarnation. */
  renew(): Incarnation {
    this.#previous = this.#incarnation;
    this.#incarnation = drawIncarnation(this.#random);
    this.#sessionNumber = 0;
    return this.#incarnation;
  }
}

/** 96 random bits in hex. */
export function drawIncarnation(random: Random): Incarnation {
  return Buffer.from(random.bytes(12)).toString("hex") as Incarnation;
}
