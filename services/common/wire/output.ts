import { LogLevel, LogStream } from "../../../gen/jobmesh/v1/execution_service.ts";
import type { AttemptOutput } from "../../../gen/jobmesh/v1/executor_service.ts";
import type { OutputLevel, OutputPiece, OutputStream } from "../domain/attempt.ts";
import { keyFromMessage, keyToMessage } from "./attempt-key.ts";
import { timestampOfUs, usOfTimestamp } from "./time.ts";

const STREAM_NUMBERS: Readonly<Record<OutputStream, LogStream>> = {
  STDOUT: LogStream.LOG_STREAM_STDOUT,
  STDERR: LogStream.LOG_STREAM_STDERR,
  HANDLER: LogStream.LOG_STREAM_HANDLER,
};

const LEVEL_NUMBERS: Readonly<Record<OutputLevel, LogLevel>> = {
  UNSPECIFIED: LogLevel.LOG_LEVEL_UNSPECIFIED,
  DEBUG: LogLevel.LOG_LEVEL_DEBUG,
  INFO: LogLevel.LOG_LEVEL_INFO,
  WARN: LogLevel.LOG_LEVEL_WARN,
  ERROR: LogLevel.LOG_LEVEL_ERROR,
};

const STREAMS: ReadonlyMap<number, OutputStream> = reversed(STREAM_NUMBERS);
const LEVELS: ReadonlyMap<number, OutputLevel> = reversed(LEVEL_NUMBERS);

/** A stream's number in the contract. */
export function streamToMessage(stream: OutputStream): LogStream {
  return STREAM_NUMBERS[stream];
}

/** Reads a stream; undefined for one that this version does not know. */
export function streamFromMessage(stream: LogStream): OutputStream | undefined {
  return STREAMS.get(stream);
}

/** A level's number in the contract. */
export function levelToMessage(level: OutputLevel): LogLevel {
  return LEVEL_NUMBERS[level];
}

/** Reads a level; one that this version does not know counts as none. */
export function levelFromMessage(level: LogLevel): OutputLevel {
  return LEVELS.get(level) ?? "UNSPECIFIED";
}

/** A piece of output for the wire. */
export function outputToMessage(piece: OutputPiece): AttemptOutput {
  return {
    key: keyToMessage(piece.key),
    stream: STREAM_NUMBERS[piece.stream],
    sequence: BigInt(piece.sequence),
    data: asBuffer(piece.data),
    time: timestampOfUs(piece.timeUs),
    droppedBytes: BigInt(piece.droppedBytes),
    level: LEVEL_NUMBERS[piece.level],
    fieldsJson: piece.fieldsJson,
    spanId: piece.spanId,
  };
}

/** Reads a piece of output. Throws TypeError when its key or stream is none. */
export function outputFromMessage(message: AttemptOutput): OutputPiece {
  const stream = STREAMS.get(message.stream);
  if (stream === undefined) throw new TypeError(`stream: is ${message.stream}, which names none`);
  return {
    key: keyFromMessage(message.key),
    stream,
    sequence: Number(message.sequence),
    data: message.data,
    timeUs: message.time === undefined ? 0 : usOfTimestamp(message.time),
    droppedBytes: Number(message.droppedBytes),
    level: levelFromMessage(message.level),
    fieldsJson: message.fieldsJson,
    spanId: message.spanId,
  };
}

/** The same bytes as a Buffer, which generated messages ask for. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function reversed<Name extends string>(numbers: Readonly<Record<Name, number>>): ReadonlyMap<number, Name> {
  const names = Object.keys(numbers) as Name[];
  return new Map(names.map((name) => [numbers[name], name]));
}
