import assert from "node:assert/strict";
import { test } from "node:test";
import { renderTail, TailBuffer } from "../../../services/executor/spawner/tail.ts";

const LIMIT = 16 * 1024;

test("rule 4: text that fits is left alone", () => {
  for (const text of ["", "a", "grüß dich\n", "\uFEFFbom", "x".repeat(LIMIT), "😀".repeat(LIMIT / 4)]) {
    assert.equal(renderTail(Buffer.from(text), LIMIT), text);
  }
});

test("rule 4: 16 KiB of 4-byte characters, cut anywhere, stay whole characters", () => {
  const text = "😀".repeat(LIMIT / 4 + 10);
  for (const shift of ["", "a", "ab", "abc"]) {
    const tail = renderTail(Buffer.from(text + shift), LIMIT);
    assert.ok(Buffer.byteLength(tail) <= LIMIT && Buffer.byteLength(tail) > LIMIT - 4);
    assert.ok((text + shift).endsWith(tail));
    assert.ok(!tail.includes("\uFFFD"));
  }
});

test("rule 4: three bytes of a cut character are left out before a tail, a fourth is no part of one", () => {
  const rest = (count: number) => Buffer.concat([Buffer.from("a"), Buffer.alloc(count, 0x80), Buffer.from("end")]);
  assert.equal(renderTail(rest(3), 6), "end");
  assert.equal(renderTail(rest(4), 7), "\uFFFDend");
});

test("rule 4: NUL, wrong bytes, lone surrogates and overlong forms are U+FFFD", () => {
  assert.equal(renderTail(Buffer.from([0x61, 0, 0x62]), LIMIT), "a\uFFFDb");
  assert.equal(renderTail(Buffer.from([0xff, 0xfe]), LIMIT), "\uFFFD\uFFFD");
  assert.equal(renderTail(Buffer.from([0xed, 0xa0, 0x80, 0x62]), LIMIT), "\uFFFD\uFFFD\uFFFDb");
  assert.equal(renderTail(Buffer.from([0xc0, 0x80]), LIMIT), "\uFFFD\uFFFD");
  assert.equal(renderTail(Buffer.from([0x61, 0xf0, 0x9f, 0x98]), LIMIT), "a\uFFFD");
});

test("rule 4: random bytes give text within the limit that is its own UTF-8", () => {
  let seed = 7;
  const next = (): number => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff;
    return seed >> 16;
  };
  for (let round = 0; round < 200; round++) {
    const bytes = Uint8Array.from({ length: next() % 400 }, () => next() & 0xff);
    const limit = next() % 200;
    const text = renderTail(bytes, limit);
    assert.ok(Buffer.byteLength(text) <= limit);
    assert.ok(text.isWellFormed() && !text.includes("\0"));
    assert.equal(Buffer.from(text).toString(), text);
  }
});

test("the end stays when wrong bytes make the text too long", () => {
  const bytes = Buffer.concat([Buffer.alloc(LIMIT - 3, 0xff), Buffer.from("end")]);
  const tail = renderTail(bytes, LIMIT);
  assert.ok(tail.endsWith("\uFFFDend"));
  assert.ok(Buffer.byteLength(tail) <= LIMIT && Buffer.byteLength(tail) > LIMIT - 3);
});

test("a tail buffer keeps the last bytes, however they came", () => {
  const all = Buffer.from(Array.from({ length: 5_000 }, (_, index) => index % 251));
  for (const step of [1, 7, 99, 100, 101, 350, 5_000]) {
    const tail = new TailBuffer(100);
    for (let at = 0; at < all.length; at += step) tail.push(all.subarray(at, at + step));
    assert.deepEqual(Buffer.from(tail.take()), all.subarray(-100), `step ${step}`);
  }
  const short = new TailBuffer(100);
  short.push(Buffer.from("ab"));
  short.push(Buffer.from("c"));
  assert.equal(Buffer.from(short.take()).toString(), "abc");
  assert.equal(new TailBuffer(100).take().length, 0);
});
