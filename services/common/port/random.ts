/** Random is where all randomness comes from; the simulator hands in a seeded one. */
export interface Random {
  /** A number in [0, 1). */
  unit(): number;
  /** `count` random bytes. */
  bytes(count: number): Uint8Array;
  /** 64 random bits, never 0: a fence of 0 means that there is none. */
  fence(): bigint;
}
