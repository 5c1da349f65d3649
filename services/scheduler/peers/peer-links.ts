import type { LinkRequest, LinkResponse } from "../../../gen/jobmesh/v1/peer_service.ts";
import type { Route } from "../../common/domain/route.ts";
import type { Clock } from "../../common/port/clock.ts";
import type { CallContext, DuplexStream } from "../../common/rpc/contract.ts";
import type { Logger } from "../../common/runtime/log.ts";
import { WakeableLoop } from "../dispatch/wakeable-loop.ts";
import type { Hint, Hints } from "../hints.ts";
import type { SchedulerView } from "../scheduler-views.ts";
import { hintFromMessage, hintToMessage } from "./peer-hint.ts";

/** A link that this scheduler opened: hints out as requests, hints in as responses. */
export type OutgoingLink = { readonly stream: DuplexStream<LinkResponse, LinkRequest>; close(): void };
/** Opens a link to a peer's address. It may fail later, by the stream's close. */
export type OpenLink = (address: string) => OutgoingLink;

/** The live schedulers but this one. */
export interface Peers {
  peers(): readonly SchedulerView[];
  onChange(listener: () => void): () => void;
}

/** Between two looks at which peers have no link. */
const REDIAL_INTERVAL_MS = 500;
/** Hints of these kinds go to peers. */
const SHARED_KINDS = ["ready", "free", "stop", "ended", "changed", "output"] as const;

/**
 * Rule 31: what one scheduler knows reaches the others within a millisecond.
 * Each one dials each other one and sends its own hints up that link; what
 * comes down is the peer's. Hints only: a lost, late or doubled one costs
 * time, never truth.
 */
export class PeerLinks {
  readonly #deps: {
    peers: Peers;
    hints: Hints;
    open: OpenLink;
    routeOfId: (routeId: bigint) => Route | undefined;
    clock: Clock;
    log: Logger;
  };
  readonly #links = new Map<string, OutgoingLink>();
  readonly #loop: WakeableLoop;
  #unlisten: readonly (() => void)[] = [];

  constructor(deps: {
    peers: Peers;
    hints: Hints;
    open: OpenLink;
    routeOfId: (routeId: bigint) => Route | undefined;
    clock: Clock;
    log: Logger;
  }) {
    this.#deps = deps;
    const work = { name: "peer links", intervalMs: REDIAL_INTERVAL_MS, run: () => Promise.resolve(this.runOnce()) };
    this.#loop = new WakeableLoop(deps.clock, deps.log, work);
  }

  start(): void {
    const { hints, peers } = this.#deps;
    this.#unlisten = [
      peers.onChange(() => this.#loop.wake()),
      ...SHARED_KINDS.map((kind) =>
        hints.on(kind, (hint, origin) => {
          if (origin === "local") this.#send(hint);
        }),
      ),
    ];
    this.#loop.start();
  }

  async stop(): Promise<void> {
    for (const unlisten of this.#unlisten) unlisten();
    await this.#loop.stop();
    for (const link of this.#links.values()) link.close();
    this.#links.clear();
  }

  /** The serving end: a peer's hints come in; ours go to it by the link that we dial. */
  serve(stream: DuplexStream<LinkRequest, LinkResponse>, context: CallContext): void {
    stream.onMessage((request) => this.#receive(request.hint));
    stream.onEnd(() => stream.end());
    context.stopping.addEventListener("abort", () => stream.end(), { once: true });
  }

  /** Dials peers that have no link and closes links to those that left. */
  runOnce(): boolean {
    const addresses = new Set(this.#deps.peers.peers().map(({ address }) => address));
    for (const [address, link] of this.#links) {
      if (addresses.has(address)) continue;
      this.#links.delete(address);
      link.close();
    }
    for (const address of addresses) if (!this.#links.has(address)) this.#dial(address);
    return false;
  }

  #dial(address: string): void {
    const link = this.#deps.open(address);
    this.#links.set(address, link);
    link.stream.onMessage((response) => this.#receive(response.hint));
    link.stream.onEnd(() => link.close());
    link.stream.onClosed((error) => {
      if (this.#links.get(address) !== link) return;
      this.#links.delete(address);
      link.close();
      if (error !== null) this.#deps.log.debug({ address, err: error }, "a link to a peer ended");
    });
  }

  #send(hint: Hint): void {
    if (this.#links.size === 0) return;
    const message = hintToMessage(hint, this.#deps.routeOfId);
    if (message === null) return;
    for (const { stream } of this.#links.values()) {
      // A peer that is slow to read misses hints and sweeps the store instead.
      if (stream.buffered < MAX_BUFFERED_HINTS) stream.send({ hint: message });
    }
  }

  #receive(message: LinkRequest["hint"]): void {
    const hint = message === undefined ? null : hintFromMessage(message);
    if (hint !== null) this.#deps.hints.tell(hint, "peer");
  }
}

/** Hints that wait for a slow peer; more are dropped. */
const MAX_BUFFERED_HINTS = 1_000;
