import assert from "node:assert/strict";
import { test } from "node:test";
import { rendezvousOwner } from "../../../services/common/domain/rendezvous.ts";

const keys = Array.from({ length: 256 }, (_, shard) => `shard ${shard}`);
const members = ["s-1", "s-2", "s-3", "s-4"];
const ownersAmong = (among: readonly string[]) => keys.map((key) => rendezvousOwner(among, key));

test("rule 30: every member computes the same owner, in whatever order it sees them", () => {
  assert.deepEqual(ownersAmong(members), ownersAmong(members.toReversed()));
  assert.deepEqual(ownersAmong([...members, "s-1"]), ownersAmong(members));
});

test("rule 30: when a member leaves only its own keys move, and when one comes only to it", () => {
  const before = ownersAmong(members);
  const without = ownersAmong(members.filter((member) => member !== "s-2"));
  const beside = ownersAmong([...members, "s-5"]);
  for (const [index, owner] of before.entries()) {
    if (owner !== "s-2") assert.equal(without[index], owner);
    assert.ok(beside[index] === owner || beside[index] === "s-5");
  }
});

test("rule 30: each member has about its part", () => {
  const owners = ownersAmong(members);
  for (const member of members) {
    const count = owners.filter((owner) => owner === member).length;
    assert.ok(count > 40 && count < 90, `${member} owns ${count}`);
  }
});

test("rule 30: nobody owns a key among nobody, and one owns all", () => {
  assert.equal(rendezvousOwner([], "shard 0"), undefined);
  assert.deepEqual(new Set(ownersAmong(["s-1"])), new Set(["s-1"]));
});
