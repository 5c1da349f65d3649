import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type FileDescriptorProto, FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import {
  ServerReflectionService as ReflectionV1,
  type ServerReflectionRequest,
  type ServerReflectionResponse,
} from "../../../gen/grpc/reflection/v1/reflection.ts";
import { ServerReflectionService as ReflectionV1Alpha } from "../../../gen/grpc/reflection/v1alpha/reflection.ts";
import { JobmeshError } from "../error/jobmesh-error.ts";
import type { DuplexStream } from "./contract.ts";
import type { RawCallOptions, RawChannel } from "./raw-call.ts";

/**
 * Asks a server for the descriptors of one of its services, by
 * grpc.reflection.v1 and, where that is not there, v1alpha, which most servers of
 * before 2023 have.
 */

/** Why a server's descriptors cannot be had, although it answers. */
export class ReflectionFault extends Error {
  override readonly name = "ReflectionFault";
}

/** Bytes of descriptors that one server may give for one service. */
export const MAX_REFLECTED_BYTES = 4 * 1024 * 1024;
/** Files that they may be of. */
export const MAX_REFLECTED_FILES = 1_000;
/** google.rpc.Code.NOT_FOUND, as error_response carries it. */
const NOT_FOUND = 5;

type Ask = NonNullable<ServerReflectionRequest["messageRequest"]>;
type ReflectionStream = DuplexStream<ServerReflectionResponse, ServerReflectionRequest>;

/**
 * A serialized FileDescriptorSet of the service's file and all that it imports,
 * imports first. null when the server does not know the service. Rejects with
 * ReflectionFault when it has no reflection or gives more than the limits or
 * what are no descriptors, and as RawChannel.call does for what befalls the call.
 */
export async function reflectService(
  channel: RawChannel,
  service: string,
  options: RawCallOptions,
): Promise<Uint8Array | null> {
  for (const version of [ReflectionV1, ReflectionV1Alpha]) {
    const stream: ReflectionStream = channel.bidi(version.serverReflectionInfo, options);
    try {
      const files = await new ServiceFiles(stream).of(service);
      stream.end();
      return files;
    } catch (thrown) {
      stream.fail(thrown);
      if (!(thrown instanceof JobmeshError) || thrown.code !== "UNIMPLEMENTED") throw thrown;
    }
  }
  throw new ReflectionFault("the server has no reflection (grpc.reflection.v1 or v1alpha)");
}

/** Collects the files of a service over one stream, one question at a time. */
class ServiceFiles {
  readonly #stream: ReflectionStream;
  readonly #files = new Map<string, FileDescriptorProto>();
  #byteCount = 0;
  #answer: PromiseWithResolvers<ServerReflectionResponse> | null = null;
  #over: Error | null = null;

  constructor(stream: ReflectionStream) {
    this.#stream = stream;
    stream.onMessage((message) => this.#answer?.resolve(message));
    stream.onClosed((error) => {
      this.#over = error ?? new ReflectionFault("the server ended reflection before it had answered");
      this.#answer?.reject(this.#over);
    });
  }

  async of(service: string): Promise<Uint8Array | null> {
    if (!(await this.#fetch({ $case: "fileContainingSymbol", value: service }))) return null;
    for (let name = this.#missing(); name !== undefined; name = this.#missing()) {
      const found = await this.#fetch({ $case: "fileByFilename", value: name });
      if (!found || !this.#files.has(name)) throw new ReflectionFault(`the server does not give ${name}`);
    }
    const file = inOrder(this.#files);
    return toBinary(FileDescriptorSetSchema, create(FileDescriptorSetSchema, { file }));
  }

  /** A file that another one imports and that has not come. */
  #missing(): string | undefined {
    for (const { dependency } of this.#files.values()) {
      const name = dependency.find((each) => !this.#files.has(each));
      if (name !== undefined) return name;
    }
    return undefined;
  }

  /** False when the server does not know what was asked for. */
  async #fetch(messageRequest: Ask): Promise<boolean> {
    const { messageResponse } = await this.#ask(messageRequest);
    if (messageResponse?.$case === "errorResponse") {
      const { errorCode, errorMessage } = messageResponse.value;
      if (errorCode === NOT_FOUND) return false;
      throw new ReflectionFault(`the server's reflection failed: ${errorMessage}`);
    }
    if (messageResponse?.$case !== "fileDescriptorResponse")
      throw new ReflectionFault("the server gave no descriptors");
    for (const bytes of messageResponse.value.fileDescriptorProto) this.#add(bytes);
    return true;
  }

  #ask(messageRequest: Ask): Promise<ServerReflectionResponse> {
    if (this.#over !== null) return Promise.reject(this.#over);
    this.#answer = Promise.withResolvers();
    this.#stream.send({ host: "", messageRequest });
    return this.#answer.promise;
  }

  #add(bytes: Uint8Array): void {
    this.#byteCount += bytes.length;
    if (this.#byteCount > MAX_REFLECTED_BYTES || this.#files.size >= MAX_REFLECTED_FILES) {
      const limits = `${MAX_REFLECTED_BYTES} bytes and ${MAX_REFLECTED_FILES} files`;
      throw new ReflectionFault(`the server's descriptors are too large; at most ${limits} are taken`);
    }
    try {
      const file = fromBinary(FileDescriptorProtoSchema, bytes);
      this.#files.set(file.name, file);
    } catch (cause) {
      throw new ReflectionFault("the server gave what is no FileDescriptorProto", { cause });
    }
  }
}

/** Imports before what imports them. A file that imports itself, by whatever way, is left to whoever reads the set. */
function inOrder(files: ReadonlyMap<string, FileDescriptorProto>): FileDescriptorProto[] {
  const ordered = new Set<FileDescriptorProto>();
  const entered = new Set<string>();
  // Without recursion: how deep a stranger's imports go is the stranger's choice.
  const waiting = [...files.keys()].map((name) => ({ name, isDone: false }));
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const file = files.get(next.name);
    if (file === undefined) continue;
    if (next.isDone) ordered.add(file);
    if (next.isDone || entered.has(next.name)) continue;
    entered.add(next.name);
    waiting.push({ name: next.name, isDone: true });
    for (const name of file.dependency) waiting.push({ name, isDone: false });
  }
  return [...ordered];
}
