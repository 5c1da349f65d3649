import type { ExecutorApp } from "./executor-app.ts";

/** Exit codes: asked to stop twice (128 and the number of SIGINT), and a handler that does not settle. */
const EXIT_HURRIED = 130;
const EXIT_UNSETTLED = 70;

/**
 * The main of a program of handlers: starts the executor, stops it in order at
 * the first SIGINT or SIGTERM, hurries at the second, ends the process at the
 * third. Resolves when the executor has left.
 */
export async function runUntilStopped(app: ExecutorApp): Promise<void> {
  let signals = 0;
  const onSignal = (): void => {
    signals++;
    if (signals > 2) process.exit(EXIT_HURRIED);
    void app.stop();
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  try {
    await app.start();
    await app.left();
  } finally {
    process.off("SIGINT", onSignal);
    process.off("SIGTERM", onSignal);
  }
}

/** For ExecutorOptions.exitProcess: ends the process, because a handler that was told to end does not (rules 16, 22). */
export function exitUnsettled(): never {
  process.exit(EXIT_UNSETTLED);
}
