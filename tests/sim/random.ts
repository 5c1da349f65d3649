/** All randomness of a simulation, from its seed. */
import type { Random } from "../../services/common/port/random.ts";

/**
 * SeededRandom draws the same for a seed each time, on every machine (sfc32 by
 * Chris Doty-Humphrey, 128 bits of state, whole numbers only). What is drawn
 * for one purpose does not move what is drawn for another: `branch` gives each
 * its own sequence.
 */
export class SeededRandom implements Random {
  readonly #seed: string;
  readonly #state: Uint32Array;

  constructor(seed: string) {
    this.#seed = seed;
    this.#state = Uint32Array.of(hash(seed, 1), hash(seed, 2), hash(seed, 3), 1);
    for (let warmUp = 0; warmUp < 12; warmUp++) this.#next();
  }

  /** A sequence of its own. */
  branch(purpose: string): SeededRandom {
    return new SeededRandom(`${this.#seed}/${purpose}`);
  }

  unit(): number {
    return this.#next() / 2 ** 32;
  }

  bytes(count: number): Uint8Array {
    const bytes = new Uint8Array(count);
    for (let at = 0; at < count; at++) bytes[at] = this.#next() & 0xff;
    return bytes;
  }

  fence(): bigint {
    const value = (BigInt(this.#next()) << 32n) | BigInt(this.#next());
    return value === 0n ? 1n : value;
  }

  /** True with this probability. */
  chance(probability: number): boolean {
    return this.unit() < probability;
  }

  /** A whole number from 0 to below the bound. */
  below(bound: number): number {
    return Math.floor(this.unit() * bound);
  }

  /** A number from one to another. */
  between(from: number, to: number): number {
    return from + this.unit() * (to - from);
  }

  /** One of them; undefined of none. */
  pick<T>(items: readonly T[]): T | undefined {
    return items[this.below(items.length)];
  }

  /** Small more often than large: uniform in the logarithm. */
  skewed(from: number, to: number): number {
    return from * (to / from) ** this.unit();
  }

  #next(): number {
    const state = this.#state;
    const [a = 0, b = 0, c = 0, counter = 0] = state;
    const drawn = (a + b + counter) >>> 0;
    state[3] = counter + 1;
    state[0] = b ^ (b >>> 9);
    state[1] = c + (c << 3);
    state[2] = ((c << 21) | (c >>> 11)) + drawn;
    return drawn;
  }
}

/** FNV-1a, 32 bits. */
function hash(text: string, salt: number): number {
  let value = 0x811c9dc5 ^ salt;
  for (let at = 0; at < text.length; at++) value = Math.imul(value ^ text.charCodeAt(at), 0x01000193);
  return value >>> 0;
}
