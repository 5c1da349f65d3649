/**
 * Milliseconds of the clock that all processes of this machine share and that
 * never steps. The Clock port's has an origin of its own in each process, which
 * is why the operating system's is asked here.
 */
export function sharedMonotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
