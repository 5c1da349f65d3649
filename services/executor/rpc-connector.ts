import type { Clock } from "../common/port/clock.ts";
import { RpcChannel } from "../common/rpc/rpc-channel.ts";
import type { ChannelSecurity } from "../common/security/link-security.ts";
import { sessionMethod } from "../common/wire/session-method.ts";
import type { SessionConnector, SessionLink } from "./session-link.ts";
import { StreamLink } from "./stream-link.ts";

/** Settings of an RpcConnector. */
export type RpcConnectorConfig = {
  /** Where schedulers are: "host:port" or "etcd:///scheduler", several of them in the order to try. */
  readonly targets: readonly string[];
  /** TLS and token; by default neither. */
  readonly security?: ChannelSecurity;
};

/**
 * RpcConnector dials schedulers. Each stream goes to the next target, and with
 * a target of several addresses to the next of those (round robin), so that one
 * which fails is not asked again first.
 */
export class RpcConnector implements SessionConnector {
  readonly #channels: readonly RpcChannel[];
  #next = 0;

  /** Throws CONFIG_INVALID where the token would travel beyond loopback in clear text. */
  constructor(deps: { readonly clock: Clock }, { targets, ...shared }: RpcConnectorConfig) {
    this.#channels = targets.map((target) => new RpcChannel(deps, { target, ...shared }));
    if (this.#channels.length === 0) throw new TypeError("targets: at least one scheduler has to be named");
  }

  /** Never rejects: a scheduler that cannot be reached closes the stream with PEER_UNAVAILABLE. */
  async open(): Promise<SessionLink> {
    const channel = this.#channels[this.#next++ % this.#channels.length] as RpcChannel;
    return new StreamLink(channel.bidi(sessionMethod));
  }

  close(): void {
    for (const channel of this.#channels) channel.close();
  }
}
