import { appendFileSync } from "node:fs";
import type { TestContext } from "node:test";
import { ReportServiceService } from "../../examples/report/gen/acme/report/v1/report_service.ts";
import { RpcServer } from "../../services/common/rpc/rpc-server.ts";
import { silentLogger } from "../../services/common/runtime/log.ts";
import { SystemClock } from "../../services/common/runtime/system-clock.ts";
import { targetServer } from "../unit/executor-http/setup.ts";

/** Where HTTP and gRPC targets of a test go. */
export type TruthTargets = { readonly url: string; readonly grpcAddress: string };

/** An HTTP and a gRPC server outside the mesh that write down who called them, as the truth executor does. */
export async function truthTargets(t: TestContext, truthPath: string): Promise<TruthTargets> {
  const note = (executionId: unknown, attempt: unknown): void => {
    appendFileSync(truthPath, `${executionId} ${attempt} start\n${executionId} ${attempt} end\n`);
  };
  const { url } = await targetServer(t, ({ headers }, response) => {
    note(headers["jobmesh-execution-id"], headers["jobmesh-attempt"]);
    response.end("{}");
  });
  const server = new RpcServer({ log: silentLogger, clock: new SystemClock() }, { listen: "127.0.0.1:0" });
  server.addService(ReportServiceService, {
    render: (_request, context) => {
      note(context.metadata("jobmesh-execution-id"), context.metadata("jobmesh-attempt"));
      return { text: "", sum: 0n };
    },
  });
  const { address } = await server.start();
  t.after(() => server.stop(0));
  return { url, grpcAddress: address };
}
