/** No whole answer: every way is a typed failure, and all but hopeless ones may be tried again. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { selfSigned } from "../../support/self-signed.ts";
import { failureOf, freeUrl, rawServer, resultOf, run, targetServer } from "./setup.ts";
import { trust } from "./trust.ts";

test("where nobody listens, and where there is no such name, the target is unreachable", async () => {
  for (const url of [await freeUrl(), "http://no-such-host.invalid/"]) {
    const { reason, nonRetryable, message } = failureOf(await run({ url }));
    assert.deepEqual([reason, nonRetryable], ["TARGET_UNREACHABLE", false], message);
    assert.match(message, /^no connection: E[A-Z_]+$/);
  }
});

test("a connection that ends before its answer, or within it, is a failure of its own", async (t) => {
  const atOnce = await rawServer(t, (socket) => socket.destroy());
  const asked = await rawServer(t, (socket) => socket.once("data", () => socket.end()));
  const reset = await rawServer(t, (socket) => socket.once("data", () => socket.resetAndDestroy()));
  const within = await rawServer(t, (socket) =>
    socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")),
  );
  const chunked = await rawServer(t, (socket) =>
    socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhalf")),
  );
  for (const url of [atOnce, asked, reset, within, chunked]) {
    const ending = await run({ url });
    const { reason, nonRetryable, message } = failureOf(ending);
    assert.deepEqual([reason, nonRetryable], ["TARGET_DISCONNECTED", false], message);
    if (url === within || url === chunked) assert.equal(ending.output, "half", "what came is shown");
  }
});

test("a failure that is known by its status stays it when its content breaks off", async (t) => {
  const url = await rawServer(t, (socket) =>
    socket.once("data", () => socket.end("HTTP/1.1 404 Not Found\r\nContent-Length: 10\r\n\r\nhalf")),
  );
  assert.equal(failureOf(await run({ url })).reason, "http:404");
});

test("what is no HTTP is a failure of the protocol", async (t) => {
  const answers = [
    "SSH-2.0-OpenSSH_9.2\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n",
  ];
  for (const answer of answers) {
    const url = await rawServer(t, (socket) => socket.once("data", () => socket.write(answer)));
    const { reason, nonRetryable } = failureOf(await run({ url }));
    assert.deepEqual([reason, nonRetryable], ["TARGET_PROTOCOL", false], answer);
  }
});

test("header lines are taken up to 16 KiB, and no further", async (t) => {
  const server = await targetServer(t, ({ path }, response) => {
    response.setHeader("X-Long", "x".repeat(Number(path.slice(1))));
    response.end("ok");
  });
  assert.equal(resultOf(await run({ url: `${server.url}/${15 * 1024}` })).toString(), "ok");
  assert.equal(failureOf(await run({ url: `${server.url}/${17 * 1024}` })).reason, "TARGET_PROTOCOL");
});

test("answers of 1xx before the answer are passed over", async (t) => {
  const server = await targetServer(t, (_got, response) => {
    response.writeProcessing();
    response.writeEarlyHints({ link: "</a>; rel=preload" });
    response.end("ok");
  });
  assert.equal(resultOf(await run({ url: server.url })).toString(), "ok");
});

test("TLS holds by a certificate that is trusted, of that name and of today", async (t) => {
  const [good, unknown, elsewhere] = [selfSigned(), selfSigned(), selfSigned("elsewhere.test")];
  const old = selfSigned("localhost", new Date(Date.now() - 1_000));
  trust(t, good);
  trust(t, elsewhere);
  trust(t, old);
  const ok = await targetServer(t, (_got, response) => response.end("secret"), good);
  assert.equal(resultOf(await run({ url: ok.url })).toString(), "secret");
  assert.equal(resultOf(await run({ url: ok.url.replace("127.0.0.1", "localhost") })).toString(), "secret");
  for (const [certificate, says] of [
    [unknown, /self-signed/],
    [elsewhere, /IP: 127\.0\.0\.1 is not in the cert's list/],
    [old, /expired/],
  ] as const) {
    const server = await targetServer(t, () => assert.fail("nothing was to be asked"), certificate);
    const { reason, nonRetryable, message } = failureOf(await run({ url: server.url }));
    assert.deepEqual([reason, nonRetryable], ["TARGET_TLS", false], message);
    assert.match(message, says);
  }
});

test("no variable of the environment switches the check of certificates off", async (t) => {
  process.env.NODE_TLS_REJECT_UNAUTHORIZED = "0";
  t.after(() => {
    delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
  });
  const server = await targetServer(t, () => assert.fail("nothing was to be asked"), selfSigned());
  assert.equal(failureOf(await run({ url: server.url })).reason, "TARGET_TLS");
});

test("https to a server without TLS is a failure of TLS", async (t) => {
  const server = await targetServer(t, () => assert.fail("nothing was to be asked"));
  const { reason } = failureOf(await run({ url: server.url.replace("http:", "https:") }));
  assert.equal(reason, "TARGET_TLS");
});
