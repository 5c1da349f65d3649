/** Between two looks at something outside that gives no signal: a file that processes write, a count that is asked. */
const LOOK_MS = 20;

/** Waits a moment before another look. Only where nothing tells of the change; else wait for the event. */
export function outsideTurn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, LOOK_MS));
}
