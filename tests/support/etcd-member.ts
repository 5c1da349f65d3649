/** A process that keeps one member in etcd until it is killed: ENDPOINT CLUSTER NAME INSTANCE TTL_MS. Prints when it has. */
import { openEtcdRegistry } from "../../services/common/adapter/etcd/open-registry.ts";
import { silentLogger } from "../../services/common/runtime/log.ts";
import { SystemClock } from "../../services/common/runtime/system-clock.ts";
import { SystemRandom } from "../../services/common/runtime/system-random.ts";

const [endpoint = "", cluster = "", name = "", instance = "", ttlMs = ""] = process.argv.slice(2);
const deps = { clock: new SystemClock(), random: new SystemRandom(), log: silentLogger };
const registry = openEtcdRegistry(deps, { endpoints: [endpoint], cluster });
await registry.start();
await registry.register({ name, instance, address: "a.test:1", metadata: {} }, Number(ttlMs));
console.log("registered");
