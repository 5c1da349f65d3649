import type { Heartbeat } from "../../../gen/jobmesh/v1/executor_service.ts";
import { SessionRequest } from "../../../gen/jobmesh/v1/executor_service.ts";
import { unreachable } from "../domain/assert.ts";
import type { HeartbeatMessage, SessionUp } from "../domain/session.ts";
import { keyFromMessage, keyToMessage } from "./attempt-key.ts";
import { helloFromMessage, helloToMessage } from "./executor-profile.ts";
import { asBuffer, outputFromMessage, outputToMessage } from "./output.ts";
import { resultFromMessage, resultToMessage } from "./result-event.ts";
import { timestampOfUs, usOfTimestamp } from "./time.ts";

/** Serializes what an executor says. */
export function encodeSessionUp(message: SessionUp): Buffer {
  return asBuffer(SessionRequest.encode({ kind: kindOf(message) }).finish());
}

/**
 * Reads what an executor says. Throws when the bytes are none, or a key in them names no attempt.
 */
export function decodeSessionUp(bytes: Uint8Array): SessionUp {
  const { kind } = SessionRequest.decode(bytes);
  if (kind === undefined) return { kind: "unknown" };
  const { $case } = kind;
  switch ($case) {
    case "hello":
      return helloFromMessage(kind.value);
    case "heartbeat":
      return heartbeatFromMessage(kind.value);
    case "attemptStarted": {
      const { key, startTime } = kind.value;
      return { kind: "started", key: keyFromMessage(key), startUs: startTime ? usOfTimestamp(startTime) : 0 };
    }
    case "attemptOutput":
      return { kind: "output", piece: outputFromMessage(kind.value) };
    case "attemptProgress": {
      const { key, fraction, message } = kind.value;
      return { kind: "progress", key: keyFromMessage(key), fraction, message };
    }
    case "leaving":
      return { kind: "leaving", reason: kind.value.reason };
    case "result": {
      const { sequence, event, traceparent, tracestate } = kind.value;
      if (event === undefined) throw new TypeError("result.event: is not set");
      return { kind: "result", sequence: Number(sequence), result: resultFromMessage(event, traceparent, tracestate) };
    }
    case "descriptors":
      return { kind: "descriptors", descriptorSets: kind.value.descriptorSets };
    default:
      return unreachable($case);
  }
}

function kindOf(message: SessionUp): SessionRequest["kind"] {
  const { kind } = message;
  switch (kind) {
    case "hello":
      return { $case: "hello", value: helloToMessage(message) };
    case "heartbeat":
      return { $case: "heartbeat", value: heartbeatToMessage(message) };
    case "started": {
      const value = { key: keyToMessage(message.key), startTime: timestampOfUs(message.startUs) };
      return { $case: "attemptStarted", value };
    }
    case "output":
      return { $case: "attemptOutput", value: outputToMessage(message.piece) };
    case "progress": {
      const value = { key: keyToMessage(message.key), fraction: message.fraction, message: message.message };
      return { $case: "attemptProgress", value };
    }
    case "leaving":
      return { $case: "leaving", value: { reason: message.reason } };
    case "result": {
      const { sequence, result } = message;
      const event = resultToMessage(result);
      const { traceparent, tracestate = "" } = result;
      const value = { sequence: BigInt(sequence), event, traceparent, tracestate };
      return { $case: "result", value };
    }
    case "descriptors":
      return { $case: "descriptors", value: { descriptorSets: message.descriptorSets.map(asBuffer) } };
    case "unknown":
      return undefined;
    default:
      return unreachable(kind);
  }
}

function heartbeatToMessage(beat: HeartbeatMessage): Heartbeat {
  return {
    sequence: BigInt(beat.sequence),
    slots: beat.slots.map((count) => ({
      capabilityIndex: count.capabilityIndex ?? undefined,
      free: count.free,
      receivedCount: BigInt(count.receivedCount),
    })),
    cpuLoad: beat.cpuLoad,
    memoryBytes: BigInt(beat.memoryBytes),
    sendTime: timestampOfUs(beat.sendUs),
  };
}

function heartbeatFromMessage(message: Heartbeat): HeartbeatMessage {
  return {
    kind: "heartbeat",
    sequence: Number(message.sequence),
    slots: message.slots.map((count) => ({
      capabilityIndex: count.capabilityIndex ?? null,
      free: count.free,
      receivedCount: Number(count.receivedCount),
    })),
    cpuLoad: message.cpuLoad,
    memoryBytes: Number(message.memoryBytes),
    sendUs: message.sendTime === undefined ? 0 : usOfTimestamp(message.sendTime),
  };
}
