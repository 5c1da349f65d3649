/** The client's public entry. */

export { JobmeshError } from "../common/error/jobmesh-error.ts";
export type { SecurityOptions, TlsOptions } from "../common/security/security-options.ts";
export { connectMesh, type MeshConnection, type MeshConnectionOptions } from "./connect-mesh.ts";
export type { WatchInput } from "./execution-watch.ts";
export { MeshClient, type MeshClientOptions, type SubmissionInput } from "./mesh-client.ts";
export {
  type CommandOptions,
  command,
  type GrpcOptions,
  grpc,
  grpcJson,
  type HttpOptions,
  handler,
  http,
} from "./targets.ts";
