/** The store over TLS, on a MariaDB that takes nothing else. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createConnection } from "mysql2/promise";
import { mariaDbRecipe } from "../../scripts/backend/mariadb.ts";
import { TestServer } from "../../scripts/backend/test-server.ts";
import { openStore } from "../../services/common/adapter/open-store.ts";
import { loadConfig } from "../../services/common/config/load-config.ts";
import { StoreUnavailable } from "../../services/common/port/store.ts";
import { SystemClock } from "../../services/common/runtime/system-clock.ts";
import { SystemRandom } from "../../services/common/runtime/system-random.ts";
import { createDatabase, type TestDatabase } from "../support/backends.ts";
import { TestAuthority } from "../support/certificates.ts";

const deps = { clock: new SystemClock(), random: new SystemRandom() };
const authority = new TestAuthority({ after });
const stranger = new TestAuthority({ after });
const own = authority.issue({ names: ["DNS:localhost"] });

/** MariaDB with a certificate. */
const server = new TestServer({
  ...mariaDbRecipe,
  command: async (folder, ports) => {
    const { program, args } = await mariaDbRecipe.command(folder, ports);
    return { program, args: [...args, `--ssl-cert=${own.certPath}`, `--ssl-key=${own.keyPath}`] };
  },
});
let database: TestDatabase;

before(async () => {
  await server.start();
  const url = `mysql://root@127.0.0.1:${server.ports[0]}`;
  database = await createDatabase(url);
  // From now on nobody speaks to it in clear text.
  const connection = await createConnection(url);
  await connection.query("SET GLOBAL require_secure_transport = ON");
  connection.destroy();
});
after(() => server.dispose());

function urlWith(parameters: string): string {
  return database.url.replace("127.0.0.1", "localhost") + parameters;
}

/** Migrates and reads over the URL; rejects as the store's start does. */
async function use(parameters: string): Promise<void> {
  const store = openStore(urlWith(parameters), deps);
  try {
    await store.start();
    assert.deepEqual(await store.executors.live(), []);
  } finally {
    await store.stop();
  }
}

test("with ssl-ca in its URL the store is migrated and read over TLS", async () => {
  await use(`?ssl-ca=${authority.caPath}`);
});

test("a store that is not who it should be is away; one that wants TLS lets nobody in without it", async () => {
  for (const parameters of [`?ssl-ca=${stranger.caPath}`, "?ssl-ca=system"]) {
    await assert.rejects(use(parameters), (error) => {
      assert.ok(error instanceof StoreUnavailable, String(error));
      assert.match(error.message, /certificate/);
      return true;
    });
  }
  await assert.rejects(use(""), /Access denied|insecure transport/);
});

test("what the settings cannot do over TLS is refused before anything is opened", () => {
  const load = (store: string) => loadConfig("scheduler", { env: { JOBMESH_STORE: store }, argv: [] }).config.store;
  const url = "mysql://me:hush@db/mesh";
  assert.deepEqual(load(`${url}?ssl-ca=${authority.caPath}`), {
    kind: "mysql",
    url: `${url}?ssl-ca=${authority.caPath}`,
  });
  assert.ok(load(`${url}?ssl-ca=system`) !== null);
  for (const [wrong, fault] of [
    [`${url}?ssl-ca=none.pem`, /ssl-ca in its URL must be a file that can be read: ENOENT/],
    [`${url}?ssl-ca=${own.keyPath}`, /ssl-ca in its URL must be a PEM file of certificates, or system/],
    [`mysql://me:hush@10.0.0.1/mesh?ssl-ca=system`, /must name its host, not its address/],
    [`mysql://me:hush@[::1]/mesh?ssl-ca=system`, /must name its host, not its address/],
    [`${url}?ssl=true`, /\[\?ssl-ca=…\]/],
    [`${url}?ssl-ca=system&charset=x`, /\[\?ssl-ca=…\]/],
  ] as const) {
    assert.throws(() => load(wrong), { reason: "CONFIG_INVALID", message: fault });
  }
});
