import assert from "node:assert/strict";
import { appendFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { GroupFile, readGroupFile } from "../../../services/executor/spawner/group-file.ts";
import { GroupLedger } from "../../../services/executor/spawner/group-ledger.ts";
import { bootId, processStat, systemProcesses } from "../../../services/executor/spawner/process-table.ts";
import { dataFolder } from "./setup.ts";

const own = { number: 0, pid: process.pid, startTicks: processStat(process.pid)?.startTicks ?? 0 };

function ledgerIn(path: string): GroupLedger {
  return new GroupLedger({ file: new GroupFile(path), processes: systemProcesses, pid: process.pid }, "feed");
}

test("rule 22: the file says which groups live, by pid and start time", (t) => {
  const path = join(dataFolder(t), "groups");
  const file = ledgerIn(path);
  t.after(() => file.close());
  file.add(1, process.pid);
  file.add(2, process.ppid);
  file.remove(1);
  assert.deepEqual(readGroupFile(path), {
    boot: bootId(),
    token: "feed",
    spawner: own,
    lastNumber: 2,
    groups: [{ number: 2, pid: process.ppid, startTicks: processStat(process.ppid)?.startTicks }],
  });
});

test("rule 22: the file stays small and keeps what lives through every rewriting", (t) => {
  const path = join(dataFolder(t), "groups");
  const file = ledgerIn(path);
  t.after(() => file.close());
  file.add(1, process.pid);
  for (let number = 2; number < 20_000; number++) {
    file.add(number, process.ppid);
    file.remove(number);
    if (number % 1000 === 0) assert.ok(statSync(path).size <= 256 * 1024 + 100);
  }
  const record = readGroupFile(path);
  assert.deepEqual(
    record?.groups.map((group) => group.number),
    [1],
  );
  assert.equal(record?.lastNumber, 19_999);
});

test("rule 22: a torn last line, another file and no file are no reason to fail", (t) => {
  const path = join(dataFolder(t), "groups");
  assert.equal(readGroupFile(path), undefined);
  writeFileSync(path, "something else\n");
  assert.equal(readGroupFile(path), undefined);
  const file = ledgerIn(path);
  t.after(() => file.close());
  file.add(1, process.pid);
  appendFileSync(path, "+ 2 44");
  assert.deepEqual(
    readGroupFile(path)?.groups.map((group) => group.number),
    [1],
  );
  assert.equal(readGroupFile(path)?.lastNumber, 1);
});
