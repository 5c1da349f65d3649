import assert from "node:assert/strict";
import { test } from "node:test";
import { storableTail, storableText } from "../../../services/common/domain/storable-text.ts";

test("rule 4: text that fits is the same text", () => {
  for (const text of ["", "a", "Büro 🏢"]) {
    assert.equal(storableText(text, 7), text);
    assert.equal(storableTail(text, 7), text);
  }
});

test("rule 4: NUL and lone surrogates appear as U+FFFD", () => {
  assert.equal(storableText("a\0\ud800b\udc00", 9), "a\ufffd\ufffdb\ufffd");
  assert.equal(storableTail("a\0\ud800b\udc00", 9), "a\ufffd\ufffdb\ufffd");
});

test("rule 4: a text is cut between characters, at its end or its start", () => {
  assert.equal(storableText("ab😀", 3), "ab");
  assert.equal(storableText("ab😀", 2), "ab");
  assert.equal(storableTail("😀ab", 3), "ab");
  assert.equal(storableTail("xy😀", 2), "😀");
  assert.equal(storableText("😀".repeat(9), 6), "😀😀😀");
});
