/** Names of Kafka's errors, such as "MESSAGE_TOO_LARGE", in an error of kafkajs: it may gather several, or be caused by one. */
export function kafkaErrorTypes(thrown: unknown): readonly string[] {
  for (let error = thrown, depth = 0; error instanceof Error && depth < 5; error = error.cause, depth++) {
    if ("type" in error && typeof error.type === "string") return [error.type];
    if ("errors" in error && Array.isArray(error.errors)) return error.errors.flatMap(kafkaErrorTypes);
  }
  return [];
}

/** What went wrong, in words, from the first cause on. */
export function faultText(thrown: unknown): string {
  let error = thrown;
  for (let depth = 0; depth < 5 && error instanceof Error && error.cause instanceof Error; depth++) error = error.cause;
  return error instanceof Error ? error.message : String(error);
}
