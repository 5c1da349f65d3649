import type { Clock } from "../../common/port/clock.ts";
import type { RawChannel } from "../../common/rpc/raw-call.ts";
import { ReflectionFault, reflectService } from "../../common/rpc/reflection-client.ts";
import { MethodTypes, PayloadFault } from "../../common/wire/json-message.ts";

/** Services whose types are kept; the one read longest ago goes. */
export const MAX_REFLECTED_SERVICES = 256;
/** How long types count, milliseconds: a server may be replaced by a newer one at any time. */
const MAX_AGE_MS = 60_000;
/** Time for one server's answer, milliseconds. */
const READ_TIMEOUT_MS = 10_000;

type Reading = { readonly types: Promise<MethodTypes | null>; readonly readMs: number };

/**
 * ReflectedTypes knows the messages of services by their servers' reflection.
 * Attempts that ask for the same service meanwhile wait for one reading, which
 * belongs to none of them: one that is stopped does not take it from the others.
 */
export class ReflectedTypes {
  readonly #clock: Clock;
  readonly #readings = new Map<string, Reading>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Services that are kept. */
  get size(): number {
    return this.#readings.size;
  }

  /**
   * Types of a service; null when its server does not know it. Rejects with
   * ReflectionFault, and with a JobmeshError for what befalls the call.
   *
   * @param key names what the channel goes to.
   */
  of(key: string, channel: RawChannel, service: string): Promise<MethodTypes | null> {
    const place = JSON.stringify([key, service]);
    const nowMs = this.#clock.monotonicMs();
    const known = this.#readings.get(place);
    if (known !== undefined && nowMs - known.readMs < MAX_AGE_MS) return known.types;
    const types = read(channel, service);
    this.#readings.delete(place);
    this.#readings.set(place, { types, readMs: nowMs });
    if (this.#readings.size > MAX_REFLECTED_SERVICES) this.#readings.delete(this.#readings.keys().next().value ?? "");
    // What was not found, or could not be read, is asked for again by the next one.
    const forget = (): void => {
      if (this.#readings.get(place)?.types === types) this.#readings.delete(place);
    };
    types.then((found) => found === null && forget(), forget);
    return types;
  }
}

async function read(channel: RawChannel, service: string): Promise<MethodTypes | null> {
  const never = new AbortController().signal;
  const set = await reflectService(channel, service, { timeoutMs: READ_TIMEOUT_MS, signal: never });
  if (set === null) return null;
  try {
    return new MethodTypes(set);
  } catch (error) {
    if (error instanceof PayloadFault) throw new ReflectionFault(error.message, { cause: error });
    throw error;
  }
}
