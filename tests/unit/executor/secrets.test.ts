/** Secrets of an executor: from files and variables, anew each time, and never a fault that shows one. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { MAX_SECRET_BYTES, SecretFault, Secrets } from "../../../services/executor/secrets.ts";

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "jobmesh-secrets-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function faultOf(secrets: Secrets, name: string): Promise<string> {
  const fault = await secrets.read(name).then(
    () => assert.fail("it was read"),
    (thrown: unknown) => thrown,
  );
  assert.ok(fault instanceof SecretFault, String(fault));
  return fault.message;
}

test("a secret is the text of its file, read anew each time, without its last line break", async (t) => {
  const folder = folderOf(t);
  const secrets = new Secrets({ folder, environment: {} });
  for (const [text, value] of [
    ["swordfish\n", "swordfish"],
    ["marlin\r\n", "marlin"],
    [" two\nlines\n\n", " two\nlines\n"],
    ["a".repeat(MAX_SECRET_BYTES), "a".repeat(MAX_SECRET_BYTES)],
  ] as const) {
    writeFileSync(join(folder, "db.password-1"), text);
    assert.equal(await secrets.read("db.password-1"), value);
  }
  symlinkSync(join(folder, "db.password-1"), join(folder, "linked"));
  assert.equal((await secrets.read("linked")).length, MAX_SECRET_BYTES);
});

test("a secret without a file is a variable; a file goes before one", async (t) => {
  const folder = folderOf(t);
  const environment: Record<string, string> = { JOBMESH_SECRET_DB_PASSWORD: "of the environment", DB_PASSWORD: "no" };
  const secrets = new Secrets({ folder, environment });
  assert.equal(await secrets.read("db.password"), "of the environment");
  assert.equal(await new Secrets({ folder: null, environment }).read("DB_PASSWORD"), "of the environment");
  environment.JOBMESH_SECRET_DB_PASSWORD = "changed";
  assert.equal(await secrets.read("db-password"), "changed");
  writeFileSync(join(folder, "db-password"), "of the file");
  assert.equal(await secrets.read("db-password"), "of the file");
});

test("what is no secret is told by its name, never by its value or folder", { timeout: 20_000 }, async (t) => {
  const folder = folderOf(t);
  const secrets = new Secrets({ folder, environment: { JOBMESH_SECRET_EMPTY: "" } });
  writeFileSync(join(folder, "empty-file"), "\n");
  writeFileSync(join(folder, "long"), "swordfish".repeat(MAX_SECRET_BYTES));
  writeFileSync(join(folder, "binary"), Buffer.from([0xff, 0xfe, 0x00]));
  mkdirSync(join(folder, "folder"));
  execFileSync("mkfifo", [join(folder, "pipe")]);
  for (const [name, says] of [
    ["gone", /^the secret gone is unknown to this executor: .*JOBMESH_SECRET_GONE/],
    ["EMPTY", /^the secret EMPTY is unknown/],
    ["empty-file", /^the secret empty-file is empty$/],
    ["long", /^the secret long is longer than 65536 bytes$/],
    ["binary", /^the secret binary is no UTF-8 text$/],
    ["folder", /^the secret folder is no file$/],
    ["pipe", /^the secret pipe is no file$/],
    ["..", /^a secret's name is/],
    ["../secrets/a", /^a secret's name is/],
    ["", /^a secret's name is/],
  ] as const) {
    const message = await faultOf(secrets, name);
    assert.match(message, says);
    assert.ok(!message.includes(folder) && !message.includes("swordfish"), message);
  }
});

test("a secret has 64 KiB at most, in its file as in its variable", async (t) => {
  const folder = folderOf(t);
  const environment: Record<string, string> = {};
  const secrets = new Secrets({ folder, environment });
  const most = "é".repeat(MAX_SECRET_BYTES / 2);
  const says = /^the secret (FILE|VARIABLE) is longer than 65536 bytes$/;
  for (const put of [
    (text: string) => writeFileSync(join(folder, "FILE"), text),
    (text: string) => void Object.assign(environment, { JOBMESH_SECRET_VARIABLE: text }),
  ]) {
    put(most);
    const name = environment.JOBMESH_SECRET_VARIABLE === undefined ? "FILE" : "VARIABLE";
    assert.equal(await secrets.read(name), most);
    put(`${most}x`);
    assert.match(await faultOf(secrets, name), says);
  }
});
