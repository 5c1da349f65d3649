import type { SessionDown, SessionUp } from "../common/domain/session.ts";
import type { Clock } from "../common/port/clock.ts";
import type { DuplexStream } from "../common/rpc/contract.ts";
import { RpcChannel } from "../common/rpc/rpc-channel.ts";
import { sessionMethod } from "../common/wire/session-method.ts";
import type { SessionConnector, SessionLink } from "./session-link.ts";

/** Settings of an RpcConnector. */
export type RpcConnectorConfig = {
  /** Where schedulers are: "host:port" or "etcd:///scheduler", several of them in the order to try. */
  readonly targets: readonly string[];
};

/**
 * RpcConnector dials schedulers. Each stream goes to the next target, and with
 * a target of several addresses to the next of those (round robin), so that one
 * which fails is not asked again first.
 */
export class RpcConnector implements SessionConnector {
  readonly #channels: readonly RpcChannel[];
  #next = 0;

  constructor(deps: { readonly clock: Clock }, config: RpcConnectorConfig) {
    this.#channels = config.targets.map((target) => new RpcChannel(deps, { target }));
    if (this.#channels.length === 0) throw new TypeError("targets: at least one scheduler has to be named");
  }

  /** Never rejects: a scheduler that cannot be reached closes the stream with PEER_UNAVAILABLE. */
  async open(): Promise<SessionLink> {
    const channel = this.#channels[this.#next++ % this.#channels.length] as RpcChannel;
    return new RpcLink(channel.bidi(sessionMethod));
  }

  close(): void {
    for (const channel of this.#channels) channel.close();
  }
}

/** A session over a gRPC stream. */
class RpcLink implements SessionLink {
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
