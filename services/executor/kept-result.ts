import type { AttemptResult } from "../common/domain/attempt.ts";
import type { KnownKey } from "./known-keys.ts";

/** Bytes that a kept result takes beside its payloads: its objects and its key. */
const FIXED_BYTES = 600;

/** KeptResult is a result until the store has it (rule 18). */
export class KeptResult {
  readonly known: KnownKey;
  readonly result: AttemptResult;
  readonly bytes: number;
  /** Capability whose slot it still holds; -1 when it holds none. */
  capability: number;
  /** Where it stands in the result topic; offset -1 while that is not known. */
  partition = -1;
  generation = -1;
  offset = -1;
  /** Lowest offset that the topic could give it when it was produced. */
  floorOffset = 0;
  /** When it was handed to the bus; it is on its way while `pending`. */
  sentMs = 0;
  pending = false;
  /** It goes by the session: it waits to be sent, or waits for ResultStored. */
  relayed = false;
  /** It waits to be sent by the session. */
  queued = false;
  /** The store has it. */
  gone = false;

  constructor(known: KnownKey, result: AttemptResult, capability: number) {
    this.known = known;
    this.result = result;
    this.capability = capability;
    const payload = result.outcome.kind === "succeeded" ? result.outcome.result.length : 0;
    this.bytes = FIXED_BYTES + payload + 2 * (result.output.length + result.errorOutput.length);
  }
}
