import { Fifo } from "./fifo.ts";
import type { KeptResult } from "./kept-result.ts";

/**
 * Rule 27, the executor's part, for one partition of the result topic. A kept
 * result is forgotten when the partition is stored past its offset in the
 * generation that it was produced under. A generation that rises means that
 * records were lost: what was produced under a lower one is produced again. An
 * offset that is not above an earlier one, or below what was stored before it
 * was produced, means that the topic was made anew, though no home has said so:
 * nothing produced since is forgotten under that generation, and until it rises
 * results go by the session.
 */
export class ResultPartition {
  readonly partition: number;
  /** -1 until a home told it; then it never falls. */
  #generation = -1;
  #nextOffset = 0;
  #highestOffset = -1;
  #remade = false;
  /** Those that stand in the present generation, by offset. */
  #standing = new Fifo<KeptResult>();

  constructor(partition: number) {
    this.partition = partition;
  }

  /** The generation under which a result is produced now. */
  get generation(): number {
    return this.#generation;
  }

  /** Up to where it is stored: what is produced now comes to stand there or behind. */
  get nextOffset(): number {
    return this.#nextOffset;
  }

  /** False while what is produced could not be known to be stored: results go by the session then. */
  get usable(): boolean {
    return this.#generation >= 0 && !this.#remade;
  }

  /** True when the result stands where it will still be read. */
  stands(kept: KeptResult): boolean {
    return !kept.relayed && kept.generation === this.#generation && kept.offset >= this.#nextOffset;
  }

  /** The broker has it: it stands, or is stored already, or has to go another way. */
  acknowledged(kept: KeptResult, offset: number): "stands" | "stored" | "again" | "relay" {
    kept.offset = offset;
    if (kept.generation !== this.#generation) return "again";
    if (offset <= this.#highestOffset || offset < kept.floorOffset) this.#remade = true;
    if (this.#remade) return "relay";
    this.#highestOffset = offset;
    // A home may say that it is stored before the broker's own word comes, and says it once.
    if (offset < this.#nextOffset) return "stored";
    this.#standing.push(kept);
    return "stands";
  }

  /** A home says how far it is stored. Calls back with those to be forgotten, answers those to be produced again. */
  storedUpTo(generation: number, nextOffset: number, forget: (kept: KeptResult) => void): readonly KeptResult[] {
    if (generation < this.#generation) return [];
    if (generation > this.#generation) return this.#rise(generation, nextOffset);
    this.#nextOffset = Math.max(this.#nextOffset, nextOffset);
    for (let first = this.#standing.peek(); first !== undefined; first = this.#standing.peek()) {
      if (!first.gone && first.offset >= this.#nextOffset) break;
      this.#standing.shift();
      if (!first.gone) forget(first);
    }
    return [];
  }

  #rise(generation: number, nextOffset: number): readonly KeptResult[] {
    const again = [...this.#standing].filter((kept) => !kept.gone);
    this.#standing = new Fifo();
    this.#generation = generation;
    this.#nextOffset = nextOffset;
    this.#highestOffset = -1;
    this.#remade = false;
    return again;
  }
}
