import { randomBytes } from "node:crypto";
import type { Random } from "../port/random.ts";

/** Bytes drawn from the system at once: a system call each would cost a microsecond a fence. */
const POOL_BYTES = 4096;

/** The operating system's cryptographic randomness, drawn in pools. */
export class SystemRandom implements Random {
  #pool = Buffer.alloc(0);
  #used = 0;

  unit(): number {
    return this.#take(4).readUInt32LE() / 2 ** 32;
  }

  bytes(count: number): Uint8Array {
    return new Uint8Array(this.#take(count));
  }

  fence(): bigint {
    for (;;) {
      const value = this.#take(8).readBigUInt64LE();
      if (value !== 0n) return value;
    }
  }

  #take(count: number): Buffer {
    if (count > POOL_BYTES) return randomBytes(count);
    if (this.#used + count > this.#pool.length) {
      this.#pool = randomBytes(POOL_BYTES);
      this.#used = 0;
    }
    const taken = this.#pool.subarray(this.#used, this.#used + count);
    this.#used += count;
    return taken;
  }
}
