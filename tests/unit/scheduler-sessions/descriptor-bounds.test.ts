import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import {
  MAX_DESCRIPTOR_SET_BYTES,
  readDescriptorSets,
} from "../../../services/scheduler/sessions/descriptor-intake.ts";
import { testProfile } from "../../support/executor-profile.ts";

test("rule 28: a set of descriptors has 1 MiB at most", () => {
  const read = (bytes: number) => {
    const set = Buffer.alloc(bytes);
    const descriptorHash = createHash("sha256").update(set).digest("hex");
    const capabilities = [{ kind: "handler", method: "a.B/C", descriptorHash, slots: 0 }] as const;
    return readDescriptorSets(testProfile("e", { capabilities }), [set]);
  };
  assert.throws(() => read(MAX_DESCRIPTOR_SET_BYTES + 1), /must be at most 1048576 bytes; was 1048577/);
  assert.throws(
    () => read(MAX_DESCRIPTOR_SET_BYTES),
    (thrown) => !String(thrown).includes("at most"),
    "at the bound it is read, and found to be none",
  );
});
