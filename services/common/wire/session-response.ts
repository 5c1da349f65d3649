import { BinaryReader, BinaryWriter } from "@bufbuild/protobuf/wire";
import type { HeartbeatAck, StopAttempt, Welcome } from "../../../gen/jobmesh/v1/executor_service.ts";
import { SessionResponse } from "../../../gen/jobmesh/v1/executor_service.ts";
import { assert, unreachable } from "../domain/assert.ts";
import type { DispatchOrder } from "../domain/dispatch.ts";
import { STOP_REASONS } from "../domain/execution.ts";
import type { SchedulerId } from "../domain/identifier.ts";
import type { HeartbeatAckMessage, SessionDown, StopMessage, WelcomeMessage } from "../domain/session.ts";
import { keyFromMessage, keyToMessage } from "./attempt-key.ts";
import { decodeOrder, encodeOrder } from "./dispatch-event.ts";
import { asBuffer } from "./output.ts";
import { durationOfMs, msOfDuration, timestampOfUs, usOfTimestamp } from "./time.ts";

/** Number and tag of SessionResponse.dispatch, which is moved without opening its target. */
const DISPATCH_FIELD = 5;
const DISPATCH_TAG = (DISPATCH_FIELD << 3) | 2;
/** Tags of RelayedDispatch: event, traceparent, tracestate. */
const EVENT_TAG = (1 << 3) | 2;
const TRACEPARENT_TAG = (2 << 3) | 2;
const TRACESTATE_TAG = (3 << 3) | 2;

/** Between the polite stop and the forced one, where a StopAttempt names none. */
export const DEFAULT_STOP_GRACE_MS = 10_000;

/** Serializes what a home says. */
export function encodeSessionDown(message: SessionDown): Buffer {
  if (message.kind === "dispatch") return encodeDispatch(message.order);
  return asBuffer(SessionResponse.encode({ kind: kindOf(message) }).finish());
}

/**
 * Reads what a home says. Throws when the bytes are none, or a key in them names no attempt.
 */
export function decodeSessionDown(bytes: Uint8Array): SessionDown {
  if (bytes[0] === DISPATCH_TAG) return { kind: "dispatch", order: decodeDispatch(bytes) };
  const { kind } = SessionResponse.decode(bytes);
  if (kind === undefined) return { kind: "unknown" };
  const { $case } = kind;
  switch ($case) {
    case "welcome":
      return welcomeFromMessage(kind.value);
    case "heartbeatAck":
      return ackFromMessage(kind.value);
    case "stopAttempt":
      return stopFromMessage(kind.value);
    case "drain":
      return { kind: "drain", graceMs: kind.value.grace === undefined ? null : msOfDuration(kind.value.grace) };
    case "dispatch":
      // Not first in its message, as nobody writes it: the slow way gives the same.
      return { kind: "dispatch", order: decodeDispatch(SessionResponse.encode({ kind }).finish()) };
    case "resultStored":
      return { kind: "result_stored", sequence: Number(kind.value.sequence) };
    case "outputAck":
      return { kind: "output_ack", key: keyFromMessage(kind.value.key), sequence: Number(kind.value.sequence) };
    default:
      return unreachable($case);
  }
}

function encodeDispatch(order: DispatchOrder): Buffer {
  const writer = new BinaryWriter().uint32(DISPATCH_TAG).fork();
  encodeOrder(order, writer.uint32(EVENT_TAG).fork()).join();
  if (order.traceparent !== "") writer.uint32(TRACEPARENT_TAG).string(order.traceparent);
  if (order.tracestate !== "") writer.uint32(TRACESTATE_TAG).string(order.tracestate);
  return asBuffer(writer.join().finish());
}

function decodeDispatch(bytes: Uint8Array): DispatchOrder {
  const reader = new BinaryReader(bytes);
  const [field] = reader.tag();
  assert(field === DISPATCH_FIELD, "a relayed dispatch begins its message");
  const end = reader.uint32() + reader.pos;
  let event: Uint8Array | null = null;
  let traceparent = "";
  let tracestate = "";
  while (reader.pos < end) {
    const [number, wireType] = reader.tag();
    if (number === 1) event = reader.bytes();
    else if (number === 2) traceparent = reader.string();
    else if (number === 3) tracestate = reader.string();
    else reader.skip(wireType, number);
  }
  if (event === null) throw new TypeError("dispatch.event: is not set");
  return decodeOrder(event, { traceparent, tracestate });
}

function kindOf(message: Exclude<SessionDown, { kind: "dispatch" }>): SessionResponse["kind"] {
  const { kind } = message;
  switch (kind) {
    case "welcome":
      return { $case: "welcome", value: welcomeToMessage(message) };
    case "heartbeat_ack":
      return { $case: "heartbeatAck", value: ackToMessage(message) };
    case "stop":
      return { $case: "stopAttempt", value: stopToMessage(message) };
    case "drain":
      return {
        $case: "drain",
        value: { grace: message.graceMs === null ? undefined : durationOfMs(message.graceMs) },
      };
    case "result_stored":
      return { $case: "resultStored", value: { sequence: BigInt(message.sequence) } };
    case "output_ack":
      return { $case: "outputAck", value: { key: keyToMessage(message.key), sequence: BigInt(message.sequence) } };
    case "unknown":
      return undefined;
    default:
      return unreachable(kind);
  }
}

function welcomeToMessage(welcome: WelcomeMessage): Welcome {
  return {
    schedulerId: welcome.schedulerId,
    heartbeatInterval: durationOfMs(welcome.heartbeatIntervalMs),
    leaseTtl: durationOfMs(welcome.leaseTtlMs),
    reportDelay: durationOfMs(welcome.reportDelayMs),
    missingDescriptorHashes: welcome.missingDescriptorHashes.map((hash) => Buffer.from(hash, "hex")),
  };
}

function welcomeFromMessage(message: Welcome): WelcomeMessage {
  const { heartbeatInterval, leaseTtl, reportDelay } = message;
  if (heartbeatInterval === undefined || leaseTtl === undefined || reportDelay === undefined) {
    throw new TypeError("welcome: terms are missing");
  }
  return {
    kind: "welcome",
    schedulerId: message.schedulerId as SchedulerId,
    heartbeatIntervalMs: msOfDuration(heartbeatInterval),
    leaseTtlMs: msOfDuration(leaseTtl),
    reportDelayMs: msOfDuration(reportDelay),
    missingDescriptorHashes: message.missingDescriptorHashes.map((hash) => hash.toString("hex")),
  };
}

function ackToMessage(ack: HeartbeatAckMessage): HeartbeatAck {
  return {
    sequence: BigInt(ack.sequence),
    time: timestampOfUs(ack.timeUs),
    stored: ack.stored.map(({ generation, partition, nextOffset }) => ({
      generation: BigInt(generation),
      partition,
      nextOffset: BigInt(nextOffset),
    })),
    heardSequence: BigInt(ack.heardSequence),
  };
}

function ackFromMessage(message: HeartbeatAck): HeartbeatAckMessage {
  return {
    kind: "heartbeat_ack",
    sequence: Number(message.sequence),
    timeUs: message.time === undefined ? 0 : usOfTimestamp(message.time),
    stored: message.stored.map(({ generation, partition, nextOffset }) => ({
      generation: Number(generation),
      partition,
      nextOffset: Number(nextOffset),
    })),
    heardSequence: Number(message.heardSequence),
  };
}

function stopToMessage(stop: StopMessage): StopAttempt {
  return {
    key: keyToMessage(stop.key),
    reason: STOP_REASONS.indexOf(stop.reason) as StopAttempt["reason"],
    grace: durationOfMs(stop.graceMs),
    message: stop.message,
  };
}

function stopFromMessage(message: StopAttempt): StopMessage {
  const reason = STOP_REASONS.at(message.reason);
  return {
    kind: "stop",
    key: keyFromMessage(message.key),
    // A reason that this version does not know still asks that the attempt end.
    reason: reason === undefined || reason === "UNSPECIFIED" ? "CANCEL" : reason,
    graceMs: message.grace === undefined ? DEFAULT_STOP_GRACE_MS : msOfDuration(message.grace),
    message: message.message,
  };
}
