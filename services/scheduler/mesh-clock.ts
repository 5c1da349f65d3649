/**
 * Mesh time is the store's clock (rule 12), carried on this process's
 * monotonic clock between measurements.
 */
export interface MeshClock {
  /** Mesh time in microseconds. */
  nowUs(): number;
  /** How far it may be off, in microseconds: half the best round trip of the last measurement, plus drift since. */
  uncertaintyUs(): number;
}
