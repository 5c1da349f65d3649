import type { SessionDown, SessionUp } from "../common/domain/session.ts";
import type { DuplexStream } from "../common/rpc/contract.ts";
import type { SessionLink } from "./session-link.ts";

/** StreamLink is a session over a stream of ExecutorService.Session. */
export class StreamLink implements SessionLink {
  readonly #stream: DuplexStream<SessionDown, SessionUp>;

  constructor(stream: DuplexStream<SessionDown, SessionUp>) {
    this.#stream = stream;
  }

  send(messages: readonly SessionUp[]): boolean {
    let room = true;
    for (const message of messages) room = this.#stream.send(message);
    return room;
  }

  onDrain(callback: () => void): void {
    this.#stream.onDrain(callback);
  }

  onMessages(callback: (messages: readonly SessionDown[]) => void): void {
    this.#stream.onMessage((message) => callback([message]));
  }

  onClosed(callback: Parameters<SessionLink["onClosed"]>[0]): void {
    this.#stream.onClosed(callback);
  }

  end(): void {
    this.#stream.end();
  }

  drop(): void {
    this.#stream.fail(new Error("the executor dropped the stream"));
  }
}
