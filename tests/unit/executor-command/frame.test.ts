import assert from "node:assert/strict";
import { test } from "node:test";
import {
  decodeJson,
  encodeFrame,
  encodeJson,
  FrameKind,
  FrameReader,
  MAX_FRAME_BYTES,
} from "../../../services/executor/spawner/frame.ts";

test("frames come out as they went in, wherever the bytes are cut", () => {
  const bytes = Buffer.concat([
    ...encodeFrame(FrameKind.READY, 1.5),
    ...encodeFrame(FrameKind.START, 2.5, ...encodeJson({ text: "größe" }, Buffer.from([1, 2, 3]))),
    ...encodeFrame(FrameKind.OUTPUT, 3.5, Buffer.alloc(300, 7)),
  ]);
  for (const step of [1, 2, 3, 13, 14, 50, bytes.length]) {
    const reader = new FrameReader();
    const frames = [];
    for (let at = 0; at < bytes.length; at += step) frames.push(...reader.push(bytes.subarray(at, at + step)));
    assert.deepEqual(
      frames.map((frame) => [frame.kind, frame.sentMs, frame.payload.length]),
      [
        [FrameKind.READY, 1.5, 0],
        [FrameKind.START, 2.5, frames[1]?.payload.length],
        [FrameKind.OUTPUT, 3.5, 300],
      ],
    );
    const { value, rest } = decodeJson(frames[1]?.payload ?? Buffer.alloc(0));
    assert.deepEqual(value, { text: "größe" });
    assert.deepEqual([...rest], [1, 2, 3]);
  }
});

test("a frame as long as is allowed is read, a longer or a headless one is refused", () => {
  const [head, body] = encodeFrame(FrameKind.OUTPUT, 0, Buffer.alloc(MAX_FRAME_BYTES - 9));
  const reader = new FrameReader();
  assert.deepEqual(reader.push(Buffer.from(head ?? [])), []);
  assert.equal(reader.push(Buffer.from(body ?? []))[0]?.payload.length, MAX_FRAME_BYTES - 9);
  for (const length of [MAX_FRAME_BYTES + 1, 8]) {
    const wrong = Buffer.concat(encodeFrame(FrameKind.READY, 0));
    wrong.writeUInt32LE(length, 0);
    assert.throws(() => new FrameReader().push(Buffer.concat([wrong, Buffer.alloc(MAX_FRAME_BYTES)])), /frame of/);
  }
});
