import { BinaryReader, BinaryWriter } from "@bufbuild/protobuf/wire";
import { Duration } from "../../../gen/google/protobuf/duration.ts";
import { Timestamp } from "../../../gen/google/protobuf/timestamp.ts";
import { DispatchEvent } from "../../../gen/jobmesh/v1/event.ts";
import { AttemptKey as AttemptKeyMessage } from "../../../gen/jobmesh/v1/execution.ts";
import type { DispatchOrder } from "../domain/dispatch.ts";
import type { AttemptKey, ExecutorId, Incarnation } from "../domain/identifier.ts";
import type { Target } from "../domain/target.ts";
import { keyFromMessage, keyToMessage } from "./attempt-key.ts";
import { targetOfBytes } from "./target-head.ts";
import { durationOfMs, msOfDuration, optionalTimestamp, timestampOfUs, usOfTimestamp } from "./time.ts";

/*
 * A DispatchEvent carries a target that only the handler or the spawner opens.
 * Both directions move its bytes as they are; everything else has the shape of
 * the generated message, and a test holds the two against each other.
 */

/** Number and length-delimited tag of DispatchEvent.target. */
const TARGET_FIELD = 6;
const TARGET_TAG = (TARGET_FIELD << 3) | 2;

/** Serializes an order, for a record's value or a RelayedDispatch. The trace context travels beside it. */
export function encodeOrder(order: DispatchOrder, writer: BinaryWriter = new BinaryWriter()): BinaryWriter {
  DispatchEvent.encode(
    {
      key: keyToMessage(order.key),
      executorId: order.executorId,
      incarnation: order.incarnation,
      namespace: order.namespace,
      jobId: order.jobId,
      target: undefined,
      timeout: durationOfMs(order.timeoutMs),
      holdUntil: optionalTimestamp(order.holdUntilUs),
      scheduledTime: timestampOfUs(order.scheduledUs),
      shardIndex: 0,
      shardCount: 0,
      maxAttempts: order.maxAttempts,
      labels: order.labels,
      parameters: order.parameters ?? {},
      sessionNumber: BigInt(order.sessionNumber),
      dispatchTime: timestampOfUs(order.dispatchUs),
      startDeadlineTime: optionalTimestamp(order.startDeadlineUs),
    },
    writer,
  );
  return writer.uint32(TARGET_TAG).bytes(order.target.bytes);
}

/** Trace context that travels beside a message. */
export type TraceContext = { readonly traceparent: string; readonly tracestate: string };

type OrderDraft = { -readonly [Field in keyof DispatchOrder]?: DispatchOrder[Field] } & {
  labels: Record<string, string>;
  parameters?: Record<string, string>;
};

/** Reads an order. Throws when the bytes are none, or it names no attempt or target. */
export function decodeOrder(bytes: Uint8Array, trace: TraceContext): DispatchOrder {
  const reader = new BinaryReader(bytes);
  const draft: OrderDraft = { labels: {} };
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (!readField(draft, field, reader)) reader.skip(wireType, field);
  }
  return {
    key: draft.key ?? missing("key"),
    executorId: draft.executorId ?? missing("executor_id"),
    incarnation: draft.incarnation ?? missing("incarnation"),
    namespace: draft.namespace ?? "",
    jobId: draft.jobId ?? "",
    target: draft.target ?? missing("target"),
    timeoutMs: draft.timeoutMs ?? missing("timeout"),
    startDeadlineUs: draft.startDeadlineUs ?? null,
    holdUntilUs: draft.holdUntilUs ?? null,
    scheduledUs: draft.scheduledUs ?? 0,
    maxAttempts: draft.maxAttempts ?? 1,
    labels: draft.labels,
    ...(draft.parameters === undefined ? {} : { parameters: draft.parameters }),
    sessionNumber: draft.sessionNumber ?? 0,
    dispatchUs: draft.dispatchUs ?? missing("dispatch_time"),
    traceparent: trace.traceparent,
    tracestate: trace.tracestate,
  };
}

/** Reads one field by its number in event.proto; false for one that the executor has no use for. */
function readField(draft: OrderDraft, field: number, reader: BinaryReader): boolean {
  switch (field) {
    case 1:
      draft.key = readKey(reader);
      return true;
    case 2:
      draft.executorId = reader.string() as ExecutorId;
      return true;
    case 3:
      draft.incarnation = reader.string() as Incarnation;
      return true;
    case 4:
      draft.namespace = reader.string();
      return true;
    case 5:
      draft.jobId = reader.string();
      return true;
    case TARGET_FIELD:
      draft.target = readTarget(reader);
      return true;
    case 7:
      draft.timeoutMs = msOfDuration(Duration.decode(reader, reader.uint32()));
      return true;
    case 8:
      draft.holdUntilUs = usOfTimestamp(Timestamp.decode(reader, reader.uint32()));
      return true;
    case 9:
      draft.scheduledUs = usOfTimestamp(Timestamp.decode(reader, reader.uint32()));
      return true;
    case 12:
      draft.maxAttempts = reader.int32();
      return true;
    case 13:
      readEntry(draft.labels, reader);
      return true;
    case 14:
      draft.parameters ??= {};
      readEntry(draft.parameters, reader);
      return true;
    case 15:
      draft.sessionNumber = Number(reader.int64());
      return true;
    case 16:
      draft.dispatchUs = usOfTimestamp(Timestamp.decode(reader, reader.uint32()));
      return true;
    case 17:
      draft.startDeadlineUs = usOfTimestamp(Timestamp.decode(reader, reader.uint32()));
      return true;
    default:
      return false;
  }
}

function readKey(reader: BinaryReader): AttemptKey {
  return keyFromMessage(AttemptKeyMessage.decode(reader, reader.uint32()));
}

function readTarget(reader: BinaryReader): Target {
  return targetOfBytes(reader.bytes());
}

function readEntry(map: Record<string, string>, reader: BinaryReader): void {
  const end = reader.uint32() + reader.pos;
  let name = "";
  let value = "";
  while (reader.pos < end) {
    const [field, wireType] = reader.tag();
    if (field === 1) name = reader.string();
    else if (field === 2) value = reader.string();
    else reader.skip(wireType, field);
  }
  // An entry may be called "__proto__".
  Object.defineProperty(map, name, { value, enumerable: true, configurable: true, writable: true });
}

function missing(field: string): never {
  throw new TypeError(`${field}: is not set`);
}
