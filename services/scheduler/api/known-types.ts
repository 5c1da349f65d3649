import type { Clock } from "../../common/port/clock.ts";
import type { DescriptorStore } from "../../common/port/store-descriptors.ts";
import { MethodTypes, PayloadFault } from "../../common/wire/json-message.ts";

/** Methods of namespaces whose latest set is remembered; the oldest goes. */
const MAX_METHODS = 1_000;
/** Parsed sets that are kept, and their bytes before they were parsed, which are 20 times as many after; the oldest goes. */
const MAX_PARSED_SETS = 256;
const MAX_PARSED_BYTES = 8 * 1024 * 1024;
/** How long what was read counts, milliseconds. */
const MAX_AGE_MS = 1_000;

type Parsed = { readonly types: MethodTypes | PayloadFault; readonly bytes: number };

/**
 * KnownTypes parses stored descriptors, and keeps them by the hash that never
 * changes. Which set is a method's latest is read anew after a second: a new
 * executor may have brought a newer one. Requests that ask meanwhile wait for
 * one reading.
 */
export class KnownTypes {
  readonly #descriptors: DescriptorStore;
  readonly #clock: Clock;
  /** Hash of the latest set by namespace and method. */
  readonly #byMethod = new Map<string, { readonly reading: Promise<string | null>; readonly readMs: number }>();
  readonly #byHash = new Map<string, Parsed>();
  #parsedBytes = 0;

  constructor(descriptors: DescriptorStore, clock: Clock) {
    this.#descriptors = descriptors;
    this.#clock = clock;
  }

  /** The latest types of a method in a namespace; null when none was ever registered, or put there. Throws PayloadFault for a set that is not complete. */
  async of(namespace: string, method: string): Promise<MethodTypes | null> {
    const hash = await this.#latest(namespace, method);
    const types = hash === null ? null : await this.#read(hash);
    if (types instanceof PayloadFault) throw types;
    return types;
  }

  /** The types of a set; null when it is not stored, or not complete. */
  async ofSet(hash: string): Promise<MethodTypes | null> {
    const types = await this.#read(hash);
    return types instanceof PayloadFault ? null : types;
  }

  #latest(namespace: string, method: string): Promise<string | null> {
    const nowMs = this.#clock.monotonicMs();
    // No namespace has a slash in it.
    const key = `${namespace}/${method}`;
    const entry = this.#byMethod.get(key);
    if (entry !== undefined && nowMs - entry.readMs < MAX_AGE_MS) return entry.reading;
    const reading = this.#readLatest(namespace, method);
    this.#byMethod.delete(key);
    this.#byMethod.set(key, { reading, readMs: nowMs });
    if (this.#byMethod.size > MAX_METHODS) this.#byMethod.delete(firstOf(this.#byMethod));
    // What was not found, or could not be read, is asked for again by the next one.
    const forget = (): void => {
      if (this.#byMethod.get(key)?.reading === reading) this.#byMethod.delete(key);
    };
    reading.then((hash) => hash === null && forget(), forget);
    return reading;
  }

  async #readLatest(namespace: string, method: string): Promise<string | null> {
    const set = await this.#descriptors.forMethod(namespace, method);
    if (set !== null && !this.#byHash.has(set.hash)) this.#parse(set.hash, set.bytes);
    return set?.hash ?? null;
  }

  async #read(hash: string): Promise<Parsed["types"] | null> {
    const kept = this.#byHash.get(hash);
    if (kept !== undefined) return kept.types;
    const bytes = await this.#descriptors.bytesOf(hash);
    return bytes === null ? null : this.#parse(hash, bytes).types;
  }

  #parse(hash: string, bytes: Uint8Array): Parsed {
    const parsed: Parsed = { types: typesOf(bytes), bytes: bytes.length };
    this.#forget(hash);
    this.#byHash.set(hash, parsed);
    this.#parsedBytes += parsed.bytes;
    while (this.#byHash.size > MAX_PARSED_SETS || this.#parsedBytes > MAX_PARSED_BYTES) {
      this.#forget(firstOf(this.#byHash));
    }
    return parsed;
  }

  #forget(hash: string): void {
    this.#parsedBytes -= this.#byHash.get(hash)?.bytes ?? 0;
    this.#byHash.delete(hash);
  }
}

function typesOf(bytes: Uint8Array): MethodTypes | PayloadFault {
  try {
    return new MethodTypes(bytes);
  } catch (error) {
    if (error instanceof PayloadFault) return error;
    throw error;
  }
}

function firstOf(map: ReadonlyMap<string, unknown>): string {
  return map.keys().next().value ?? "";
}
