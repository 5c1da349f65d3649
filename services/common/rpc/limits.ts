/** Largest message either side takes by default. Rule 28 keeps a target under 512 KiB and a list page under 1 MiB. */
export const DEFAULT_MAX_MESSAGE_BYTES = 4 * 1024 * 1024;

/**
 * A request between maxMessageBytes and this many times that is read and
 * refused with a full error; a larger one is cut off by grpc-js, without details.
 */
export const HARD_LIMIT_FACTOR = 4;

/** Silence on a connection before it is probed. */
export const DEFAULT_KEEPALIVE_TIME_MS = 1_000;

/** Wait for the probe's answer: with the time above a dead peer is noticed in 2.5 s, under the suspect time of 3 s. */
export const DEFAULT_KEEPALIVE_TIMEOUT_MS = 1_500;
