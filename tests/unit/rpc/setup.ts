import { ExecutionServiceService } from "../../../gen/jobmesh/v1/execution_service.ts";
import { PeerServiceService } from "../../../gen/jobmesh/v1/peer_service.ts";
import type { Handlers } from "../../../services/common/rpc/contract.ts";
import { RpcChannel, type RpcChannelConfig } from "../../../services/common/rpc/rpc-channel.ts";
import { RpcServer, type RpcServerConfig } from "../../../services/common/rpc/rpc-server.ts";
import { type Logger, silentLogger } from "../../../services/common/runtime/log.ts";
import { SystemClock } from "../../../services/common/runtime/system-clock.ts";

/** Handlers of the two services that the tests call: unary and streams of every kind are among them. */
export interface TestHandlers {
  readonly execution?: Handlers<typeof ExecutionServiceService>;
  readonly peer?: Handlers<typeof PeerServiceService>;
  readonly server?: Partial<RpcServerConfig>;
  readonly channel?: Partial<RpcChannelConfig>;
  readonly log?: Logger;
}

/** A server and a channel to it, on a free port; both go when the scope ends. */
export async function setup(handlers: TestHandlers) {
  const clock = new SystemClock();
  const server = new RpcServer(
    { log: handlers.log ?? silentLogger, clock },
    { listen: "127.0.0.1:0", ...handlers.server },
  );
  server.addService(ExecutionServiceService, handlers.execution ?? {});
  server.addService(PeerServiceService, handlers.peer ?? {});
  const { address } = await server.start();
  const channel = new RpcChannel({ clock }, { target: address, ...handlers.channel });
  return {
    server,
    channel,
    address,
    clock,
    async [Symbol.asyncDispose]() {
      channel.close();
      await server.stop(0);
    },
  };
}

/** A promise with its handles outside. */
export function deferred<T = void>(): {
  promise: Promise<T>;
  resolve: (value: T) => void;
  reject: (error: unknown) => void;
} {
  return Promise.withResolvers<T>();
}
