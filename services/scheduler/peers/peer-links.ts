import type { LinkRequest, LinkResponse } from "../../../gen/jobmesh/v1/peer_service.ts";
import type { RouteId } from "../../common/domain/identifier.ts";
import type { JobmeshError } from "../../common/error/jobmesh-error.ts";
import type { Clock } from "../../common/port/clock.ts";
import type { CallContext, DuplexStream } from "../../common/rpc/contract.ts";
import type { Logger } from "../../common/runtime/log.ts";
import type { RouteBook } from "../dispatch/route-book.ts";
import type { Hint, Hints } from "../hints.ts";
import type { SchedulerView } from "../scheduler-views.ts";
import { WakeableLoop } from "../wakeable-loop.ts";
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

/** What PeerLinks are given. */
export type PeerLinksDeps = {
  readonly peers: Peers;
  readonly hints: Hints;
  readonly open: OpenLink;
  readonly routes: Pick<RouteBook, "known" | "resolve">;
  readonly clock: Clock;
  readonly log: Logger;
};

/** Between two looks at which peers have no link. */
const REDIAL_INTERVAL_MS = 500;
/** Hints of these kinds go to peers. */
const SHARED_KINDS = ["ready", "free", "stop", "drain", "ended", "changed", "output"] as const;
/** Hints that wait for a slow peer; more are dropped. */
const MAX_BUFFERED_HINTS = 1_000;
/** The same for pieces of output, which are up to 64 KiB each. */
const MAX_BUFFERED_OUTPUT = 64;
/** Routes that are asked of the store at once, for hints of what another scheduler had made. */
const MAX_ASKED_ROUTES = 1_000;

type ReadyHint = Extract<Hint, { kind: "ready" }>;

/**
 * Rule 31: what one scheduler knows reaches the others within a millisecond.
 * Each one dials each other one and sends its own hints up that link; what
 * comes down is the peer's. Hints only: a lost, late or doubled one costs
 * time, never truth.
 */
export class PeerLinks {
  readonly #deps: PeerLinksDeps;
  readonly #links = new Map<string, OutgoingLink>();
  /** Peers that refused this scheduler's token: said once, for they are dialed again and again. */
  readonly #refusedBy = new Set<string>();
  readonly #loop: WakeableLoop;
  /** Hints whose routes are being asked of the store. */
  readonly #asked = new Map<RouteId, ReadyHint>();
  #asking: Promise<void> | null = null;
  #unlisten: readonly (() => void)[] = [];

  constructor(deps: PeerLinksDeps) {
    this.#deps = deps;
    const work = { name: "peer links", intervalMs: REDIAL_INTERVAL_MS, run: () => Promise.resolve(this.runOnce()) };
    this.#loop = new WakeableLoop(deps.clock, deps.log, work);
  }

  /** Does nothing while it runs. */
  start(): void {
    if (this.#unlisten.length > 0) return;
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
    this.#unlisten = [];
    await this.#loop.stop();
    this.#asked.clear();
    await this.#asking;
    for (const link of this.#links.values()) link.close();
    this.#links.clear();
  }

  /** The serving end: a peer's hints come in; ours go to it by the link that we dial. */
  serve(stream: DuplexStream<LinkRequest, LinkResponse>, context: CallContext): void {
    stream.onMessage((request) => this.#receive(request.hint));
    stream.onEnd(() => stream.end());
    const end = (): void => stream.end();
    context.stopping.addEventListener("abort", end, { once: true });
    // The signal outlives the stream: peers dial again and again.
    stream.onClosed(() => context.stopping.removeEventListener("abort", end));
  }

  /** Dials peers that have no link and closes links to those that left. */
  runOnce(): boolean {
    const addresses = new Set(this.#deps.peers.peers().map(({ address }) => address));
    for (const [address, link] of this.#links) {
      if (addresses.has(address)) continue;
      this.#links.delete(address);
      this.#refusedBy.delete(address);
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
      if (error !== null) this.#logEnd(address, error);
    });
  }

  #logEnd(address: string, error: JobmeshError): void {
    const { log } = this.#deps;
    log.debug({ address, err: error }, "a link to a peer ended");
    if (error.reason !== "UNAUTHENTICATED" || this.#refusedBy.has(address)) return;
    this.#refusedBy.add(address);
    log.warn({ address }, "a peer refuses the token of this scheduler; it is still tried");
  }

  #send(hint: Hint): void {
    if (this.#links.size === 0) return;
    const message = hintToMessage(hint, (routeId) => this.#deps.routes.known(routeId));
    if (message === null) {
      if (hint.kind === "ready") this.#ask(hint);
      return;
    }
    const limit = hint.kind === "output" ? MAX_BUFFERED_OUTPUT : MAX_BUFFERED_HINTS;
    // A peer that is slow to read misses hints and sweeps the store instead.
    for (const { stream } of this.#links.values()) if (stream.buffered < limit) stream.send({ hint: message });
  }

  /** What another scheduler made, and became ready here: its route is read once; later ones wait with it. */
  #ask(hint: ReadyHint): void {
    const known = this.#asked.get(hint.routeId);
    if (known === undefined && this.#asked.size >= MAX_ASKED_ROUTES) return;
    const count = hint.count + (known?.count ?? 0);
    const bestRank = Math.min(hint.bestRank, known?.bestRank ?? hint.bestRank);
    this.#asked.set(hint.routeId, { ...hint, count, bestRank });
    this.#asking ??= this.#askRoutes();
  }

  async #askRoutes(): Promise<void> {
    const { routes, log } = this.#deps;
    // What is told in this turn of the event loop is asked together.
    await Promise.resolve();
    while (this.#asked.size > 0) {
      const asked = [...this.#asked.values()];
      this.#asked.clear();
      try {
        const found = await routes.resolve(asked.map(({ routeId }) => routeId));
        for (const hint of asked) if (found.has(hint.routeId)) this.#send(hint);
      } catch (error) {
        // Peers find it by their sweep.
        log.debug({ err: error }, "routes of hints could not be read");
      }
    }
    this.#asking = null;
  }

  #receive(message: LinkRequest["hint"]): void {
    const hint = message === undefined ? null : hintFromMessage(message);
    if (hint !== null) this.#deps.hints.tell(hint, "peer");
  }
}
