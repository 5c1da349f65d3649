import { JobmeshError } from "../../error/jobmesh-error.ts";

/** LinkEnd is one end of a stream inside a process. The other end hears of everything in a later turn, in order. */
export interface LinkEnd<In, Out> {
  /** Sends in order. Always true: both ends share the process, and with it the memory. */
  send(messages: readonly Out[]): boolean;
  /** Never calls back: send never says false. */
  onDrain(callback: () => void): void;
  /** Messages that were sent in one turn come as one list. Those sent before are kept for it. */
  onMessages(callback: (messages: readonly In[]) => void): void;
  /** The other side sends no more. */
  onEnd(callback: () => void): void;
  /** Exactly once, when the stream is over: null after both sides ended it, else why. */
  onClosed(callback: (error: JobmeshError | null) => void): void;
  /** This side sends no more. */
  end(): void;
  /** Ends the stream with an error, which both sides hear. */
  fail(error: JobmeshError): void;
  /** Drops the stream: the other side hears that this one is gone. */
  drop(): void;
}

/** Both ends of a stream. */
export type LinkPair<Up, Down> = { readonly executor: LinkEnd<Down, Up>; readonly home: LinkEnd<Up, Down> };

/**
 * A session without a network: the executor inside `jobmesh dev`, the simulator,
 * tests.
 *
 * @param later Runs something in a later turn; the order has to stay.
 */
export function linkPair<Up, Down>(later: (run: () => void) => void = queueMicrotask): LinkPair<Up, Down> {
  const executor = new End<Down, Up>(later);
  const home = new End<Up, Down>(later);
  executor.join(home);
  home.join(executor);
  return { executor, home };
}

class End<In, Out> implements LinkEnd<In, Out> {
  readonly #later: (run: () => void) => void;
  #other: End<Out, In> | null = null;
  #inbox: In[] = [];
  #due = false;
  #ended = false;
  #otherEnded = false;
  /** undefined while the stream stands. */
  #closedBy: JobmeshError | null | undefined;
  #told = false;
  #onMessages: ((messages: readonly In[]) => void) | null = null;
  #onEnd: (() => void) | null = null;
  #onClosed: ((error: JobmeshError | null) => void) | null = null;

  constructor(later: (run: () => void) => void) {
    this.#later = later;
  }

  join(other: End<Out, In>): void {
    this.#other = other;
  }

  send(messages: readonly Out[]): boolean {
    if (!this.#ended && this.#closedBy === undefined) this.#other?.deliver(messages);
    return true;
  }

  onDrain(): void {}

  onMessages(callback: (messages: readonly In[]) => void): void {
    this.#onMessages = callback;
    this.#wake();
  }

  onEnd(callback: () => void): void {
    this.#onEnd = callback;
    this.#wake();
  }

  onClosed(callback: (error: JobmeshError | null) => void): void {
    this.#onClosed = callback;
    this.#wake();
  }

  end(): void {
    if (this.#ended || this.#closedBy !== undefined) return;
    this.#ended = true;
    this.#other?.otherEnded();
    if (!this.#otherEnded) return;
    this.close(null);
    this.#other?.close(null);
  }

  fail(error: JobmeshError): void {
    this.#other?.close(error);
    this.close(error);
  }

  drop(): void {
    this.#other?.close(new JobmeshError("CANCELLED"));
    this.close(new JobmeshError("CANCELLED"));
  }

  deliver(messages: readonly In[]): void {
    for (const message of messages) this.#inbox.push(message);
    this.#wake();
  }

  otherEnded(): void {
    this.#otherEnded = true;
    this.#wake();
  }

  close(error: JobmeshError | null): void {
    if (this.#closedBy !== undefined) return;
    this.#closedBy = error;
    this.#wake();
  }

  #wake(): void {
    if (this.#due) return;
    this.#due = true;
    this.#later(() => this.#tell());
  }

  /** What came before the end is told before it; a broken stream tells nothing more. */
  #tell(): void {
    this.#due = false;
    if (this.#told) return;
    const broken = this.#closedBy !== undefined && this.#closedBy !== null;
    if (!broken && this.#onMessages !== null && this.#inbox.length > 0) {
      const messages = this.#inbox;
      this.#inbox = [];
      this.#onMessages(messages);
    }
    if (this.#otherEnded && this.#closedBy === undefined && this.#onEnd !== null) {
      const onEnd = this.#onEnd;
      this.#onEnd = null;
      onEnd();
    }
    if (this.#closedBy === undefined || this.#onClosed === null) return;
    this.#told = true;
    this.#onClosed(this.#closedBy);
  }
}
