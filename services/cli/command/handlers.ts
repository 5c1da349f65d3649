import type { Handler } from "../../../gen/jobmesh/v1/mesh_service.ts";
import type { MeshClient } from "../../client/mesh-client.ts";
import { withConnection } from "../connection.ts";
import { refuseArguments } from "../no-arguments.ts";
import { takeFlags } from "../own-flags.ts";
import { renderTable } from "../table.ts";

const USAGE = `jobmesh handlers [options]

  --namespace <name>   Shows the executors that serve it; "default" where it is not given.`;

/** Handlers shown. */
const MAX_HANDLERS = 10_000;
/** Handlers asked for at once. */
const PAGE_SIZE = 1_000;

/** `jobmesh handlers`: shows the methods with a stored descriptor and who runs them; exits with 1 when versions conflict. */
export function run(argv: readonly string[]): Promise<number> {
  const { given, rest: left } = takeFlags({ "--namespace": "value" }, argv);
  return withConnection(left, USAGE, async ({ client, rest }) => {
    refuseArguments("handlers", rest);
    const handlers = await allHandlers(client, given.get("--namespace") ?? "");
    const rows = handlers.map((one) => [one.method, one.requestType, one.responseType, runners(one)]);
    process.stdout.write(`${renderTable(["HANDLER", "REQUEST", "RESPONSE", "EXECUTORS"], rows).join("\n")}\n`);
    return handlers.some(({ conflicting }) => conflicting) ? 1 : 0;
  });
}

function runners({ executorIds, conflicting }: Handler): string {
  const names = executorIds.length === 0 ? "none: executions wait" : executorIds.join(" ");
  return conflicting ? `${names} (CONFLICTING versions)` : names;
}

async function allHandlers({ mesh }: MeshClient, namespace: string): Promise<Handler[]> {
  const handlers: Handler[] = [];
  let pageToken = "";
  do {
    const page = await mesh.listHandlers({ namespace, pageSize: PAGE_SIZE, pageToken });
    handlers.push(...page.handlers);
    pageToken = page.nextPageToken;
  } while (pageToken !== "" && handlers.length < MAX_HANDLERS);
  return handlers;
}
