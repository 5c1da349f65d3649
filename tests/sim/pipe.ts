import { encodeFrame, type FrameKind, FrameReader } from "../../services/executor/spawner/frame.ts";
import type { FrameEar, FramePipe } from "../../services/executor/spawner/port/frame-pipe.ts";
import type { SimProcess } from "./process.ts";
import type { Timeline } from "./timeline.ts";

/** What carries things between the processes of one simulated machine. */
export interface Wires {
  readonly timeline: Timeline;
  /** Milliseconds that the next thing is on its way. */
  drawDelayMs(): number;
  /** The clock that the machine's processes share. */
  sharedMonotonicMs(): number;
}

/**
 * SimChannel leads to one process. What is put in arrives in that order, each
 * after a while; later while the process is paused, never when it is dead.
 */
export class SimChannel {
  readonly #wires: Wires;
  readonly #to: SimProcess;
  readonly #queue: (() => void)[] = [];
  #lastMs = 0;

  constructor(wires: Wires, to: SimProcess) {
    this.#wires = wires;
    this.#to = to;
  }

  /** Lets something arrive. */
  put(arrive: () => void): void {
    const { nowMs } = this.#wires.timeline;
    this.#lastMs = Math.max(this.#lastMs, nowMs + this.#wires.drawDelayMs());
    this.#queue.push(arrive);
    // The head and not `arrive`: two times that differ by rounding alone must not turn the order round.
    this.#to.deliver(this.#lastMs - nowMs, () => this.#queue.shift()?.());
  }
}

/** SimPipeEnd is a process's end of a pipe of frames: bytes by the production codec, order and loss by the kernel. */
export class SimPipeEnd implements FramePipe {
  readonly #wires: Wires;
  readonly #own: SimProcess;
  readonly #toPeer: SimChannel;
  readonly #reader = new FrameReader();
  readonly #held: ((ear: FrameEar) => void)[] = [];
  /** The other end; itself until they are joined. */
  #peer: SimPipeEnd = this;
  #onEnd: () => void = () => {};
  #ear: FrameEar | undefined;
  #isClosed = false;
  #backlogBytes = 0;

  /** Both ends of a pipe; `onEnd` hears when the process of the second one closes it. */
  static pair(wires: Wires, one: SimProcess, other: SimProcess, onEnd: () => void): [SimPipeEnd, SimPipeEnd] {
    const [first, second] = [new SimPipeEnd(wires, one, other), new SimPipeEnd(wires, other, one)];
    first.#peer = second;
    second.#peer = first;
    second.#onEnd = onEnd;
    return [first, second];
  }

  private constructor(wires: Wires, own: SimProcess, peer: SimProcess) {
    this.#wires = wires;
    this.#own = own;
    this.#toPeer = new SimChannel(wires, peer);
    own.onDeath(() => this.#hangUp());
  }

  get backlogBytes(): number {
    return this.#backlogBytes;
  }

  listen(ear: FrameEar): void {
    this.#own.deliver(0, () => {
      this.#ear = ear;
      for (const say of this.#held.splice(0)) say(ear);
    });
  }

  send(kind: FrameKind, ...parts: readonly Uint8Array[]): void {
    const peer = this.#peer;
    if (this.#isClosed || peer.#isClosed || !this.#own.isAlive) return;
    const bytes = Buffer.concat(encodeFrame(kind, this.#wires.sharedMonotonicMs(), ...parts));
    this.#backlogBytes += bytes.length;
    this.put(() => {
      this.#backlogBytes -= bytes.length;
      peer.#hear((ear) => {
        for (const frame of peer.#reader.push(bytes)) ear.onFrame(frame);
      });
    });
  }

  end(): void {
    if (this.#isClosed || !this.#own.isAlive) return;
    this.#hangUp();
    this.#onEnd();
  }

  /** Lets something arrive at the other end, behind all that was sent. */
  put(arrive: () => void): void {
    this.#toPeer.put(arrive);
  }

  #hangUp(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const peer = this.#peer;
    this.put(() => peer.#hear((ear) => ear.onGone()));
  }

  /** Now, or once somebody listens. */
  #hear(say: (ear: FrameEar) => void): void {
    if (this.#ear === undefined) this.#held.push(say);
    else say(this.#ear);
  }
}
