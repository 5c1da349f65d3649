/** What a store is after its process, and beside another one. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { openStore, parseStoreUrl } from "../../services/common/adapter/open-store.ts";
import { MIGRATIONS_TABLE } from "../../services/common/adapter/sql/migration/migrations.ts";
import { type Store, StoreInUse, StoreTooNew, StoreUnavailable } from "../../services/common/port/store.ts";
import { SystemClock } from "../../services/common/runtime/system-clock.ts";
import { SystemRandom } from "../../services/common/runtime/system-random.ts";
import { storeBackends } from "../support/store.ts";
import { newJob } from "../support/store-records.ts";

const deps = { clock: new SystemClock(), random: new SystemRandom() };

/** Runs a body with the path of a data file in a new folder. */
async function withFolder(body: (file: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "jobmesh-restart-"));
  try {
    await body(join(folder, "data", "store.db"));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function withStore<T>(url: string, body: (store: Store) => Promise<T>): Promise<T> {
  const store = openStore(url, deps);
  await store.start();
  try {
    return await body(store);
  } finally {
    await store.stop();
  }
}

/** Runs a body beside a process that creates jobs in the data file and says each one's job_id; then it is killed. */
async function withWriter(file: string, body: (lines: AsyncIterator<string>) => Promise<void>): Promise<void> {
  const program = new URL("../support/store-writer.ts", import.meta.url).pathname;
  const child = spawn(process.execPath, [program, `sqlite:${file}`], { stdio: ["pipe", "pipe", "inherit"] });
  const ended = once(child, "exit");
  try {
    await body(createInterface({ input: child.stdout })[Symbol.asyncIterator]());
  } finally {
    child.kill("SIGKILL");
    await ended;
  }
}

test("a data file is what it was after a stop and a start; a stopped store says so", async () => {
  await withFolder(async (file) => {
    const job = newJob();
    const url = `sqlite:${file}`;
    const store = openStore(url, deps);
    await assert.rejects(store.nowUs(), StoreUnavailable);
    await Promise.all([store.start(), store.start()]);
    await store.jobs.create(job, null);
    await Promise.all([store.stop(), store.stop()]);
    await assert.rejects(store.jobs.getByUid(job.jobUid), StoreUnavailable);
    await store.start();
    assert.equal((await store.jobs.getByUid(job.jobUid))?.jobId, job.jobId);
    await store.stop();
    assert.equal((await withStore(url, (again) => again.jobs.getByUid(job.jobUid)))?.jobId, job.jobId);
  });
});

test("a data file belongs to one process, and is free when that process is killed, with all that it said was stored", async () => {
  await withFolder(async (file) => {
    const said: string[] = [];
    await withWriter(file, async (lines) => {
      while (said.length < 20) {
        const { value, done } = await lines.next();
        assert.ok(!done, "the writer ended");
        said.push(value);
      }
      await assert.rejects(
        withStore(`sqlite:${file}`, async () => {}),
        StoreInUse,
      );
    });
    await withStore(`sqlite:${file}`, async (store) => {
      for (const jobId of said) assert.ok((await store.jobs.get("writer", jobId)) !== null, `${jobId} was lost`);
    });
  });
});

test("two stores of one process cannot share a data file either", async () => {
  await withFolder(async (file) => {
    await withStore(`sqlite:${file}`, async () => {
      await assert.rejects(
        withStore(`sqlite:${file}`, async () => {}),
        StoreInUse,
      );
    });
    await withStore(`sqlite:${file}`, async () => {});
  });
});

test("a folder or file that cannot be used is told in words", async () => {
  await withFolder(async (file) => {
    await mkdir(join(file, ".."), { recursive: true });
    await writeFile(file, "this is no database, it only stands where one should be");
    await assert.rejects(
      withStore(`sqlite:${file}`, async () => {}),
      { name: "StoreUnavailable", message: /not a database/ },
    );
    await assert.rejects(
      withStore(`sqlite:${join(file, "below.db")}`, async () => {}),
      StoreUnavailable,
    );
  });
});

// The memory's data is nobody's but its own store's.
for (const backend of storeBackends.filter(({ name }) => name !== "sqlite memory")) {
  test(`data of a newer version is refused and left alone (${backend.name})`, async () => {
    const db = await backend.open();
    try {
      await db.sql((session) =>
        session.execute(
          `INSERT INTO ${MIGRATIONS_TABLE} (timestamp, name) VALUES (4102444800000, 'Later4102444800000')`,
        ),
      );
      await db.stop();
      await assert.rejects(
        withStore(db.url, async () => {}),
        { name: "StoreTooNew", message: /Later4102444800000/ },
      );
      await assert.rejects(
        withStore(db.url, async () => {}),
        StoreTooNew,
      );
    } finally {
      await db.close();
    }
  });
}

test("a store's URL is checked before anything is opened, and a password is not said", () => {
  assert.deepEqual(parseStoreUrl("sqlite:./a b/store.db"), { kind: "sqlite", path: "./a b/store.db" });
  assert.deepEqual(parseStoreUrl("mysql://u:p@h:1/db"), { kind: "mysql", url: "mysql://u:p@h:1/db" });
  for (const bad of ["", "sqlite:", "postgres://h/db", "mysql://secret@h:1", "mysql://u:secret#1@h:x/db"]) {
    assert.throws(
      () => parseStoreUrl(bad),
      (error) => error instanceof RangeError && !error.message.includes("secret"),
    );
  }
});
