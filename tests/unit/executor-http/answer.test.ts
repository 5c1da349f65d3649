/** What an attempt makes of an answer. */
import assert from "node:assert/strict";
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { test } from "node:test";
import { retryAfterMs } from "../../../services/executor/target/http-outcome.ts";
import { MAX_EAGER_PIECES } from "../../../services/executor/target/http-output.ts";
import { MAX_ASKED_DELAY_MS } from "../../../services/executor/target/outcome.ts";
import { failureOf, resultOf, run, start, targetServer } from "./setup.ts";

const LIMIT = 256 * 1024;

test("every 2xx is success: its content is the result, and the attempt's standard output", async (t) => {
  const server = await targetServer(t, ({ path }, response) => {
    response.statusCode = Number(path.slice(1));
    response.end(path === "/204" ? undefined : `körper ${path}\0`);
  });
  for (const status of [200, 201, 202, 206, 299]) {
    const ending = await run({ url: `${server.url}/${status}` });
    assert.equal(resultOf(ending).toString(), `körper /${status}\0`);
    assert.equal(ending.stdout, `körper /${status}\0`);
    assert.equal(ending.output, `körper /${status}\uFFFD`, "rendered for every store");
    assert.deepEqual([ending.errorOutput, ending.exitCode], ["", null]);
    assert.ok(ending.startUs !== null && ending.endUs >= ending.startUs);
  }
  assert.deepEqual(resultOf(await run({ url: `${server.url}/204` })), Buffer.alloc(0));
  assert.deepEqual(resultOf(await run({ url: `${server.url}/200`, method: "HEAD" })), Buffer.alloc(0));
});

test("any other status is a failure named after it, with its content in the output", async (t) => {
  const server = await targetServer(t, ({ path }, response) => {
    response.statusCode = Number(path.slice(1));
    response.end("why it failed");
  });
  for (const [status, words] of [
    [400, "HTTP 400 Bad Request"],
    [404, "HTTP 404 Not Found"],
    [429, "HTTP 429 Too Many Requests"],
    [503, "HTTP 503 Service Unavailable"],
    [599, "HTTP 599"],
  ] as const) {
    const ending = await run({ url: `${server.url}/${status}` });
    assert.deepEqual(failureOf(ending), { reason: `http:${status}`, nonRetryable: false, message: words });
    assert.deepEqual([ending.stdout, ending.output, ending.errorOutput], ["why it failed", "why it failed", words]);
  }
});

test("the content is taken at 256 KiB, and cut behind it, which is said", async (t) => {
  const server = await targetServer(t, ({ path }, response) => {
    if (path === "/404") response.statusCode = 404;
    response.end(Buffer.alloc(path === "/fits" ? LIMIT : LIMIT + 1, "x"));
  });
  const fits = await run({ url: `${server.url}/fits` });
  assert.deepEqual([resultOf(fits).length, fits.stdout.length, fits.stderr], [LIMIT, LIMIT, ""]);
  assert.equal(fits.output.length, 16 * 1024);
  const more = await run({ url: `${server.url}/more` });
  assert.deepEqual([resultOf(more).length, more.stdout.length], [LIMIT, LIMIT]);
  assert.match(more.stderr, /^jobmesh: the answer is longer than 262144 bytes; the rest was not read\n$/);
  const failed = await run({ url: `${server.url}/404` });
  assert.equal(failureOf(failed).reason, "http:404");
  assert.match(failed.errorOutput, /the rest was not read\nHTTP 404 Not Found$/);
});

test("an answer without end is left, and its connection closed", async (t) => {
  let closed: Promise<unknown> | null = null;
  const server = await targetServer(t, (_got, response) => {
    closed = once(response, "close");
    const pour = (): void => {
      while (!response.destroyed && response.write(Buffer.alloc(64 * 1024, "x")));
    };
    response.on("drain", pour);
    pour();
  });
  assert.equal(resultOf(await run({ url: server.url })).length, LIMIT);
  await closed;
});

test("content is in the log as it comes", async (t) => {
  const first = Promise.withResolvers<void>();
  const server = await targetServer(t, (_got, response) => {
    response.write("one ");
    void first.promise.then(() => response.end("two"));
  });
  const ending = await run(
    { url: server.url },
    { onWrite: ({ data }) => Buffer.from(data).toString() === "one " && first.resolve() },
  );
  assert.equal(resultOf(ending).toString(), "one two");
});

test("a server that dribbles makes no piece of the log of each byte, and all of it is there", async (t) => {
  const answering = Promise.withResolvers<ServerResponse>();
  const server = await targetServer(t, (_got, response) => {
    answering.resolve(response);
    response.write("x");
  });
  const more = 10_000;
  const sizes: number[] = [];
  const running = start(
    { url: server.url },
    {
      // Each piece that is in the log asks for the next byte, so that none are read together.
      onWrite: ({ data }) => {
        sizes.push(data.length);
        void answering.promise.then((response) => {
          if (sizes.length < MAX_EAGER_PIECES) response.write("x");
          else if (sizes.length === MAX_EAGER_PIECES) void dribble(response, more);
        });
      },
    },
  );
  assert.equal(resultOf(await running.ending).length, MAX_EAGER_PIECES + more);
  assert.equal(running.written("STDOUT"), "x".repeat(MAX_EAGER_PIECES + more));
  assert.deepEqual(sizes.slice(0, MAX_EAGER_PIECES), Array(MAX_EAGER_PIECES).fill(1));
  const lumps = sizes.slice(MAX_EAGER_PIECES);
  assert.ok(lumps.length <= 3 && lumps.slice(0, -1).every((size) => size >= 4_096), String(lumps));
});

/** Writes so many bytes one by one, each in a turn of the loop of its own. */
async function dribble(response: ServerResponse, count: number): Promise<void> {
  for (let sent = 0; sent < count; sent++) {
    response.write("x");
    await new Promise((turn) => setImmediate(turn));
  }
  response.end();
}

test("Retry-After sets the wait, in seconds or as a date, whatever the status", async (t) => {
  const server = await targetServer(t, ({ path, headers }, response) => {
    response.statusCode = Number(path.slice(1));
    response.setHeader("Retry-After", headers["x-ask"] ?? "");
    // Its clock is a year off, which changes nothing.
    response.setHeader("Date", "Wed, 01 Jan 2031 00:00:00 GMT");
    response.end();
  });
  for (const [status, asked, waitMs] of [
    [503, "2", 2_000],
    [429, "0", 0],
    [503, "Wed, 01 Jan 2031 00:01:30 GMT", 90_000],
    [500, "soon", null],
    [404, "7", 7_000],
  ] as const) {
    const { outcome } = await run({ url: `${server.url}/${status}`, headers: { "X-Ask": asked } });
    assert.ok(outcome.kind === "failed");
    assert.equal(outcome.retryDelayMs, waitMs, asked);
  }
});

test("a Retry-After is bounded, never negative, and nothing where it cannot be read", () => {
  const nowMs = Date.UTC(2031, 0, 1);
  const read = (value: string | undefined, date?: string): number | null => retryAfterMs(value, date, nowMs);
  assert.equal(read("86400"), MAX_ASKED_DELAY_MS);
  assert.equal(read("86401"), MAX_ASKED_DELAY_MS);
  assert.equal(read("9".repeat(400)), MAX_ASKED_DELAY_MS);
  assert.equal(read("Thu, 02 Jan 2031 00:00:01 GMT"), MAX_ASKED_DELAY_MS);
  assert.equal(read("Wed, 01 Jan 2031 00:00:10 GMT"), 10_000, "without a Date the executor's clock counts");
  assert.equal(read("Wednesday, 01-Jan-31 00:00:10 GMT"), 10_000, "the older form of RFC 850");
  assert.equal(read("Tue, 31 Dec 2030 00:00:00 GMT"), 0);
  assert.equal(read("Wed, 01 Jan 2031 00:00:10 GMT", "no date"), 10_000);
  for (const none of [undefined, "", "-1", "1.5", "2031-01-01", "tomorrow", "Wed, soon"])
    assert.equal(read(none), null);
});
