import { type DestinationStream, type Logger as PinoLogger, pino, stdTimeFunctions } from "pino";

/** How much is logged; each level includes those after it. */
export type LogLevel = "debug" | "info" | "warn" | "error" | "silent";

/** All levels, most first. */
export const LOG_LEVELS: readonly LogLevel[] = ["debug", "info", "warn", "error", "silent"];

/**
 * Facts beside a message: ids, counts, durations. An error goes under `err`,
 * with its stack and causes. Never a payload or a secret.
 */
export type LogFields = Readonly<Record<string, unknown>>;

/** A log of constant messages with fields beside them. */
export interface Logger {
  /** For whoever debugs this process. */
  debug(fields: LogFields, message: string): void;
  /** Something was done. */
  info(fields: LogFields, message: string): void;
  /** Something is odd and was handled. */
  warn(fields: LogFields, message: string): void;
  /** Something failed and somebody should look. */
  error(fields: LogFields, message: string): void;
  /** A log whose lines all carry these fields too. */
  child(fields: LogFields): Logger;
}

/** What a log needs to know. */
export interface LogConfig {
  /** Lowest level that is written. */
  readonly level: LogLevel;
  /** Name in every line. */
  readonly serviceName: string;
}

/** JSON lines on standard error, or on the given stream; standard output belongs to what the user asked for. */
export function createLogger(config: LogConfig, destination?: DestinationStream): Logger {
  const options = {
    level: config.level,
    base: { serviceName: config.serviceName, pid: process.pid },
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    messageKey: "message",
  };
  return wrap(pino(options, destination ?? pino.destination({ dest: 2, sync: true })));
}

/** Writes nothing. */
export const silentLogger: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silentLogger,
};

function wrap(target: PinoLogger): Logger {
  return {
    debug: (fields, message) => target.debug(fields, message),
    info: (fields, message) => target.info(fields, message),
    warn: (fields, message) => target.warn(fields, message),
    error: (fields, message) => target.error(fields, message),
    child: (fields) => wrap(target.child(fields)),
  };
}
