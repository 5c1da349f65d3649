/** What a link does while the connection takes nothing: the stream is the test's, all else is real. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { LinkRequest, LinkResponse } from "../../../gen/jobmesh/v1/peer_service.ts";
import type { ExecutionId } from "../../../services/common/domain/identifier.ts";
import type { JobmeshError } from "../../../services/common/error/jobmesh-error.ts";
import type { DuplexStream } from "../../../services/common/rpc/contract.ts";
import { silentLogger } from "../../../services/common/runtime/log.ts";
import { Hints } from "../../../services/scheduler/hints.ts";
import { PeerLinks } from "../../../services/scheduler/peers/peer-links.ts";
import { ManualClock } from "../../support/manual-clock.ts";

/** A stream that keeps what it is given until it is read. */
class StuckStream implements DuplexStream<LinkResponse, LinkRequest> {
  sent: LinkRequest[] = [];
  closed = false;
  #onClosed: (error: JobmeshError | null) => void = () => {};

  get buffered(): number {
    return this.sent.length;
  }

  send(message: LinkRequest): boolean {
    this.sent.push(message);
    return true;
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.#onClosed(null);
  }

  onClosed(callback: (error: JobmeshError | null) => void): void {
    this.#onClosed = callback;
  }

  ready = () => Promise.resolve();
  onDrain = () => {};
  onMessage = () => {};
  onEnd = () => {};
  pause = () => {};
  resume = () => {};
  end = () => {};
  fail = () => {};
}

function setup(addresses: string[]) {
  const clock = new ManualClock();
  const hints = new Hints();
  const opened: StuckStream[] = [];
  const peers = {
    peers: () =>
      addresses.map((address) => ({ schedulerId: address, address, version: "", shardCount: 0, startUs: 0 })),
    onChange: () => () => {},
  };
  const open = () => {
    const stream = new StuckStream();
    opened.push(stream);
    return { stream, close: () => stream.close() };
  };
  const routes = { known: () => undefined, resolve: async () => new Map() };
  const links = new PeerLinks({ peers, hints, open, routes, clock, log: silentLogger });
  return { clock, hints, opened, links };
}

test("rule 31: a peer that does not read misses hints, and output sooner; others miss nothing", async () => {
  const { clock, hints, opened, links } = setup(["a:1", "b:1"]);
  links.start();
  await clock.settle();
  const [slow, quick] = opened;
  assert.ok(slow && quick);
  const key = { executionId: "e" as ExecutionId, attempt: 1, fence: 7n as never };
  const piece = { key, stream: "STDOUT", sequence: 1, timeUs: 1_000, droppedBytes: 0, level: "UNSPECIFIED" } as const;
  let read = 0;
  for (let count = 0; count < 500; count += 1) {
    hints.tell({ kind: "output", piece: { ...piece, data: new Uint8Array(8), fieldsJson: "", spanId: "" } });
    read += quick.sent.splice(0).length;
  }
  assert.deepEqual([slow.buffered, read], [64, 500]);
  for (let count = 0; count < 2_000; count += 1) {
    hints.tell({ kind: "ended", executionId: "e" as ExecutionId });
    read += quick.sent.splice(0).length;
  }
  assert.deepEqual([slow.buffered, read], [1_000, 2_500]);
  await links.stop();
  assert.equal(clock.armedCount, 0);
});

test("a link that ends is dialled again within half a second", async () => {
  const { clock, hints, opened, links } = setup(["a:1"]);
  links.start();
  await clock.settle();
  opened[0]?.close();
  await clock.advance(500);
  assert.equal(opened.length, 2);
  hints.tell({ kind: "free" });
  assert.deepEqual([opened[0]?.sent.length, opened[1]?.sent.length], [0, 1]);
  await links.stop();
});

test("a link to a peer that left is closed, and nothing goes there", async () => {
  const addresses = ["a:1", "b:1"];
  const { clock, hints, opened, links } = setup(addresses);
  links.start();
  await clock.settle();
  addresses.shift();
  await clock.advance(500);
  hints.tell({ kind: "free" });
  assert.deepEqual(
    opened.map(({ closed, sent }) => [closed, sent.length]),
    [
      [true, 0],
      [false, 1],
    ],
  );
  await links.stop();
  assert.ok(opened.every(({ closed }) => closed));
});
