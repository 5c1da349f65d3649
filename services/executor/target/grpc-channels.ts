import { createHash } from "node:crypto";
import type { Clock, Timer } from "../../common/port/clock.ts";
import { RawChannel, type RawTarget } from "../../common/rpc/raw-call.ts";

/** Limits of the channels that an executor keeps. */
export type GrpcChannelLimits = {
  /** Targets that are connected at once, those in use among them. */
  readonly maxChannels: number;
  /** Milliseconds after its last call at which a channel is closed. */
  readonly idleMs: number;
};

/** An executor calls few services often; what it has not called for two minutes it connects to anew. */
export const DEFAULT_CHANNEL_LIMITS: GrpcChannelLimits = { maxChannels: 256, idleMs: 120_000 };

/** A channel, held while an attempt uses it. */
export type ChannelLease = {
  readonly channel: RawChannel;
  /** Names what the channel goes to: the same address with the same security. */
  readonly key: string;
  /** Gives it back; to be called once. */
  release(): void;
};

type Entry = { readonly channel: RawChannel; users: number; idleSinceMs: number };

/** GrpcChannels keeps one channel a target, and closes those that nobody has used for a while. */
export class GrpcChannels {
  readonly #clock: Clock;
  readonly #limits: GrpcChannelLimits;
  /** The one that became idle longest ago first. */
  readonly #entries = new Map<string, Entry>();
  #timer: Timer | null = null;

  constructor(clock: Clock, limits: GrpcChannelLimits = DEFAULT_CHANNEL_LIMITS) {
    this.#clock = clock;
    this.#limits = limits;
  }

  /** Channels that are open. */
  get size(): number {
    return this.#entries.size;
  }

  /** A channel to the target; null when as many others as may be are in use. */
  lease(target: RawTarget): ChannelLease | null {
    const key = keyOf(target);
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      if (this.#entries.size >= this.#limits.maxChannels && !this.#dropIdle()) return null;
      entry = { channel: new RawChannel(this.#clock, target), users: 0, idleSinceMs: 0 };
      this.#entries.set(key, entry);
    }
    const held = entry;
    held.users++;
    return { channel: held.channel, key, release: () => this.#release(key, held) };
  }

  /** Closes all channels; calls that run fail. */
  close(): void {
    this.#timer?.cancel();
    this.#timer = null;
    for (const { channel } of this.#entries.values()) channel.close();
    this.#entries.clear();
  }

  #release(key: string, entry: Entry): void {
    entry.users--;
    if (entry.users > 0 || this.#entries.get(key) !== entry) return;
    entry.idleSinceMs = this.#clock.monotonicMs();
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    this.#timer ??= this.#clock.setTimer(this.#limits.idleMs, () => this.#sweep());
  }

  /** Closes the one that has been idle for longest; false when all are in use. */
  #dropIdle(): boolean {
    for (const [key, { channel, users }] of this.#entries) {
      if (users > 0) continue;
      channel.close();
      return this.#entries.delete(key);
    }
    return false;
  }

  #sweep(): void {
    this.#timer = null;
    const nowMs = this.#clock.monotonicMs();
    let firstMs = Number.POSITIVE_INFINITY;
    for (const [key, { channel, users, idleSinceMs }] of this.#entries) {
      if (users > 0) continue;
      const endMs = idleSinceMs + this.#limits.idleMs;
      if (endMs > nowMs) {
        firstMs = Math.min(firstMs, endMs);
        continue;
      }
      channel.close();
      this.#entries.delete(key);
    }
    if (firstMs < Number.POSITIVE_INFINITY) this.#timer = this.#clock.setTimer(firstMs - nowMs, () => this.#sweep());
  }
}

/** A secret that was changed makes another channel; the secret itself is no part of what names one. */
function keyOf({ address, tls }: RawTarget): string {
  if (tls === null) return JSON.stringify([address]);
  const { serverName, ca, client } = tls;
  if (ca === null && client === null) return JSON.stringify([address, serverName]);
  const secrets = createHash("sha256").update(JSON.stringify([ca, client?.certificates, client?.key.reveal()]));
  return JSON.stringify([address, serverName, secrets.digest("base64")]);
}
