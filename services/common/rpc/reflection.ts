import { readFile } from "node:fs/promises";
import {
  ServerReflectionService as ReflectionV1,
  type ServerReflectionRequest,
  type ServerReflectionResponse,
} from "../../../gen/grpc/reflection/v1/reflection.ts";
import { ServerReflectionService as ReflectionV1Alpha } from "../../../gen/grpc/reflection/v1alpha/reflection.ts";
import { JobmeshError } from "../error/jobmesh-error.ts";
import type { CallContext, DuplexStream } from "./contract.ts";
import { DescriptorIndex } from "./descriptor-index.ts";
import type { RpcServer } from "./rpc-server.ts";

/** google.rpc.Code.NOT_FOUND and INVALID_ARGUMENT, which error_response carries as numbers. */
const NOT_FOUND = 5;
const INVALID_ARGUMENT = 3;

type Answer = NonNullable<ServerReflectionResponse["messageResponse"]>;
type ReflectionStream = DuplexStream<ServerReflectionRequest, ServerReflectionResponse>;

/** Reads the descriptors of jobmesh's own contract, health and reflection among them. */
export async function readContractDescriptors(): Promise<Uint8Array> {
  return await readFile(new URL("../../../gen/image.binpb", import.meta.url));
}

/**
 * gRPC reflection, v1 and v1alpha, by which grpcurl works without proto files.
 * It lists what the server serves, which may be less than its descriptors hold.
 */
export class Reflection {
  readonly #index = new DescriptorIndex();

  constructor(descriptorSets: readonly Uint8Array[]) {
    for (const descriptorSet of descriptorSets) this.#index.add(descriptorSet);
  }

  /** Adds a serialized FileDescriptorSet, for example of services that an executor brings. */
  add(descriptorSet: Uint8Array): void {
    this.#index.add(descriptorSet);
  }

  /** Serves both versions. To be called before the server starts. */
  addTo(server: RpcServer): void {
    const serverReflectionInfo = (stream: ReflectionStream, context: CallContext): void =>
      this.#serve(server, stream, context);
    server.addService(ReflectionV1, { serverReflectionInfo });
    server.addService(ReflectionV1Alpha, { serverReflectionInfo });
  }

  #serve(server: RpcServer, stream: ReflectionStream, { stopping }: CallContext): void {
    const sent = new Set<string>(); // A client keeps what one stream gave it: no file goes twice.
    const stop = (): void => stream.fail(new JobmeshError("SHUTTING_DOWN"));
    stopping.addEventListener("abort", stop, { once: true });
    stream.onClosed(() => stopping.removeEventListener("abort", stop));
    stream.onMessage((request) => {
      const messageResponse = this.#answer(request, server.services, sent);
      stream.send({ validHost: request.host, originalRequest: request, messageResponse });
    });
    stream.onEnd(() => stream.end());
  }

  #answer(request: ServerReflectionRequest, services: readonly string[], sent: Set<string>): Answer {
    const asked = request.messageRequest;
    switch (asked?.$case) {
      case "listServices":
        return { $case: "listServicesResponse", value: { service: services.toSorted().map((name) => ({ name })) } };
      case "fileByFilename":
        return this.#files(asked.value, asked.value, sent);
      case "fileContainingSymbol":
        return this.#files(this.#index.fileOfSymbol(asked.value), asked.value, sent);
      case "fileContainingExtension": {
        const { containingType, extensionNumber } = asked.value;
        const file = this.#index.fileOfExtension(containingType, extensionNumber);
        return this.#files(file, `${containingType} extension ${extensionNumber}`, sent);
      }
      case "allExtensionNumbersOfType": {
        const numbers = this.#index.extensionsOf(asked.value);
        if (numbers === null) return failed(NOT_FOUND, `${asked.value} is not known here`);
        return {
          $case: "allExtensionNumbersResponse",
          value: { baseTypeName: asked.value, extensionNumber: [...numbers] },
        };
      }
      case undefined:
        return failed(INVALID_ARGUMENT, "message_request must be set");
    }
  }

  #files(fileName: string | null, asked: string, sent: Set<string>): Answer {
    const closure = fileName === null ? null : this.#index.closure(fileName);
    if (closure === null) return failed(NOT_FOUND, `${asked} is not known here`);
    const fileDescriptorProto: Buffer[] = [];
    for (const [name, bytes] of closure) {
      if (sent.has(name) && name !== fileName) continue;
      sent.add(name);
      fileDescriptorProto.push(bytes);
    }
    return { $case: "fileDescriptorResponse", value: { fileDescriptorProto } };
  }
}

function failed(errorCode: number, errorMessage: string): Answer {
  return { $case: "errorResponse", value: { errorCode, errorMessage } };
}
