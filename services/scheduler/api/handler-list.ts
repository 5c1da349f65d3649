import {
  Handler as HandlerMessage,
  type ListHandlersRequest,
  type ListHandlersResponse,
} from "../../../gen/jobmesh/v1/mesh_service.ts";
import type { ExecutorRecord } from "../../common/domain/executor.ts";
import type { Store } from "../../common/port/store.ts";
import type { StoredMethod } from "../../common/port/store-descriptors.ts";
import type { MethodTypes } from "../../common/wire/json-message.ts";
import { timestampOfUs } from "../../common/wire/time.ts";
import { FieldFaults } from "./field-faults.ts";
import { DEFAULT_NAMESPACE } from "./job-reader.ts";
import type { KnownTypes } from "./known-types.ts";
import { MAX_PAGE_BYTES, readPage, readPageSize } from "./page.ts";

/** Sets of descriptors that one page reads: one of 40 KiB takes 17 ms to parse, and one may have 1 MiB. */
const MAX_PAGE_SETS = 16;
/** Versions of one method that live executors have and that are compared, each with each. */
const MAX_VERSIONS = 8;

/** What ListHandlers needs. */
export type HandlerListDeps = { readonly store: Store; readonly types: KnownTypes };

/** ListHandlers: the methods with a stored descriptor in a namespace, and who runs them there. */
export async function listHandlers(deps: HandlerListDeps, request: ListHandlersRequest): Promise<ListHandlersResponse> {
  const faults = new FieldFaults();
  const namespace = faults.identifier("namespace", request.namespace, DEFAULT_NAMESPACE);
  const pageSize = readPageSize(faults, request.pageSize);
  faults.throwIfAny();
  const { descriptors, executors } = deps.store;
  const runners = runnersOf(await executors.live(), namespace);
  const read = (size: number) => readPage(request.pageToken, (token) => descriptors.methods(namespace, size, token));
  const page = await read(pageSize);
  const handlers = await new HandlerPage(deps.types, runners).fill(page.items);
  if (handlers.length === page.items.length) return { handlers, nextPageToken: page.nextToken ?? "" };
  // The page is full before its rows are: its token is that of as many rows as it has.
  return { handlers, nextPageToken: (await read(handlers.length)).nextToken ?? "" };
}

/** An executor that runs a method, and the hash of its descriptors; empty when it has none. */
type Runner = { readonly executorId: string; readonly hash: string };

/** By method, the live executors that serve a namespace and take work. */
function runnersOf(records: readonly ExecutorRecord[], namespace: string): ReadonlyMap<string, readonly Runner[]> {
  const runners = new Map<string, Runner[]>();
  for (const { executorId, namespaces, draining, capabilities } of records) {
    if (draining || (namespaces.length > 0 && !namespaces.includes(namespace))) continue;
    for (const capability of capabilities) {
      if (capability.kind !== "handler") continue;
      const of = runners.get(capability.method) ?? [];
      of.push({ executorId, hash: capability.descriptorHash });
      runners.set(capability.method, of);
    }
  }
  return runners;
}

/** One page, which ends at its bytes and at the sets that it has read. */
class HandlerPage {
  readonly #types: KnownTypes;
  readonly #runners: ReadonlyMap<string, readonly Runner[]>;
  /** Hashes of the sets that this page has read. They are not held: a few of the largest are as much as a process has. */
  readonly #read = new Set<string>();
  #bytes = 0;

  constructor(types: KnownTypes, runners: ReadonlyMap<string, readonly Runner[]>) {
    this.#types = types;
    this.#runners = runners;
  }

  /** The first of these methods that fit, at least one. */
  async fill(methods: readonly StoredMethod[]): Promise<HandlerMessage[]> {
    const handlers: HandlerMessage[] = [];
    for (const stored of methods) {
      const runners = this.#runners.get(stored.method) ?? [];
      const versions = [...new Set(runners.map(({ hash }) => hash))].filter((hash) => hash !== "");
      const hashes = [stored.hash, ...versions.slice(0, MAX_VERSIONS)];
      const fresh = new Set(hashes.filter((hash) => !this.#read.has(hash)));
      if (handlers.length > 0 && this.#read.size + fresh.size > MAX_PAGE_SETS) break;
      for (const hash of fresh) this.#read.add(hash);
      const handler = await this.#handler(stored, runners, hashes.slice(1));
      this.#bytes += HandlerMessage.encode(handler).finish().length;
      if (handlers.length > 0 && this.#bytes > MAX_PAGE_BYTES) break;
      handlers.push(handler);
    }
    return handlers;
  }

  async #handler(
    stored: StoredMethod,
    runners: readonly Runner[],
    versions: readonly string[],
  ): Promise<HandlerMessage> {
    const { method, hash, storedUs } = stored;
    const types = await this.#types.ofSet(hash);
    const messages = types?.has(method) ? types.messagesOf(method) : { request: "", response: "" };
    return {
      method,
      requestType: messages.request,
      responseType: messages.response,
      executorIds: [...new Set(runners.map(({ executorId }) => executorId))].toSorted(),
      conflicting: versions.length > 1 && (await this.#isConflicting(method, versions)),
      updateTime: timestampOfUs(storedUs),
    };
  }

  async #isConflicting(method: string, hashes: readonly string[]): Promise<boolean> {
    const versions: MethodTypes[] = [];
    for (const hash of hashes) {
      const types = await this.#types.ofSet(hash);
      if (types?.has(method) !== true) continue;
      if (versions.some((other) => types.conflictWith(other, method) !== null)) return true;
      versions.push(types);
    }
    return false;
  }
}
