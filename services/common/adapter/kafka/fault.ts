/** The name of a Kafka error, such as "MESSAGE_TOO_LARGE", from an error of kafkajs or its causes; "" when it has none. */
export function kafkaErrorType(thrown: unknown): string {
  for (let error = thrown, depth = 0; error instanceof Error && depth < 5; error = error.cause, depth++) {
    if ("type" in error && typeof error.type === "string") return error.type;
  }
  return "";
}

/** What went wrong, in words, from the first cause on. */
export function faultText(thrown: unknown): string {
  let error = thrown;
  for (let depth = 0; depth < 5 && error instanceof Error && error.cause instanceof Error; depth++) error = error.cause;
  return error instanceof Error ? error.message : String(error);
}
