import type { IHeaders, KafkaMessage } from "kafkajs";
import type { AttemptResult } from "../../domain/attempt.ts";
import type { DispatchOrder } from "../../domain/dispatch.ts";
import { keyText } from "../../domain/identifier.ts";
import type { ExecutionChange, ResultRecord } from "../../port/bus.ts";
import { decodeOrder, encodeOrder } from "../../wire/dispatch-event.ts";
import { encodeExecutionChange } from "../../wire/execution-event.ts";
import { decodeResult, encodeResult } from "../../wire/result-event.ts";

/** A record on its way out. */
export type OutgoingRecord = {
  readonly topic: string;
  readonly partition: number;
  readonly key: string;
  readonly value: Buffer;
  readonly headers: Record<string, string>;
};

/** An order as a record of its lane. Its trace context is in the headers. */
export function orderRecord(topic: string, lane: number, order: DispatchOrder): OutgoingRecord {
  const value = bufferOf(encodeOrder(order).finish());
  const headers = traceHeaders(order.traceparent, order.tracestate);
  return { topic, partition: lane, key: order.key.executionId, value, headers };
}

/** A result as a record. The executor chose the partition. */
export function resultRecord(topic: string, partition: number, result: AttemptResult): OutgoingRecord {
  const headers = traceHeaders(result.traceparent, result.tracestate ?? "");
  return { topic, partition, key: result.key.executionId, value: bufferOf(encodeResult(result)), headers };
}

/** A change of an execution as a record, its trace context in the headers. */
export function executionRecord(topic: string, partition: number, change: ExecutionChange): OutgoingRecord {
  const { executionId, traceparent, tracestate } = change.execution;
  const value = bufferOf(encodeExecutionChange(change));
  return { topic, partition, key: executionId, value, headers: traceHeaders(traceparent, tracestate) };
}

/** Reads a record of a lane. Throws when it is no order. */
export function readOrder(message: KafkaMessage): DispatchOrder {
  if (message.value === null) throw new TypeError("the record is empty");
  const traceparent = headerText(message.headers, "traceparent");
  return decodeOrder(message.value, { traceparent, tracestate: headerText(message.headers, "tracestate") });
}

/** Reads a record of the result topic. One that is no result is told by its record key and offset. */
export function readResult(message: KafkaMessage): ResultRecord {
  const offset = Number(message.offset);
  const timeMs = Number(message.timestamp);
  const result = decoded(message);
  const text = result === null ? `${message.key?.toString("utf8") ?? ""}@${message.offset}` : keyText(result.key);
  return { offset, keyText: text, timeMs, result };
}

/** Bytes that a record that was fetched takes, about. */
export function fetchedBytes(message: KafkaMessage): number {
  return (message.key?.length ?? 0) + (message.value?.length ?? 0) + RECORD_HEAD_BYTES;
}

/** Bytes of a record beside its key, value and headers, at most. */
const RECORD_HEAD_BYTES = 64;

/** Bytes that a record takes in a batch, at most. */
export function recordBytes({ key, value, headers }: OutgoingRecord): number {
  let bytes = key.length + value.length + RECORD_HEAD_BYTES;
  for (const name of Object.keys(headers)) bytes += name.length + (headers[name]?.length ?? 0) + 8;
  return bytes;
}

function decoded({ value, headers }: KafkaMessage): AttemptResult | null {
  if (value === null) return null;
  try {
    return decodeResult(value, headerText(headers, "traceparent"), headerText(headers, "tracestate"));
  } catch {
    return null;
  }
}

function traceHeaders(traceparent: string, tracestate: string): Record<string, string> {
  const headers: Record<string, string> = {};
  if (traceparent !== "") headers.traceparent = traceparent;
  if (tracestate !== "") headers.tracestate = tracestate;
  return headers;
}

function headerText(headers: IHeaders | undefined, name: string): string {
  const value = headers?.[name];
  const first = Array.isArray(value) ? value[0] : value;
  return first === undefined ? "" : first.toString();
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
