/** A process that keeps one member in etcd until it is killed: ENDPOINT CLUSTER NAME INSTANCE TTL_MS. Prints when it has. */
import { openEtcdRegistry } from "../../services/common/adapter/etcd/open-registry.ts";
import { silentLogger } from "../../services/common/runtime/log.ts";
import { SystemClock } from "../../services/common/runtime/system-clock.ts";

const [endpoint = "", cluster = "", name = "", instance = "", ttlMs = ""] = process.argv.slice(2);
const registry = openEtcdRegistry({ clock: new SystemClock(), log: silentLogger }, { endpoints: [endpoint], cluster });
await registry.start();
await registry.register({ name, instance, address: "a.test:1", metadata: {} }, Number(ttlMs));
console.log("registered");
