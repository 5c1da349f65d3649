/**
 * Names of the mesh as gRPC targets: `etcd:///scheduler` reaches every live
 * scheduler. grpc-js asks a resolver of its own kind; ours hands the name to a
 * NameSource, which pushes each change of its addresses.
 *
 * Two habits of grpc-js shape this file. Round robin asks for a new resolution
 * in the same tick in which it is given a list, so that a resolver which answers
 * with its cached list spins for ever: after the start updateResolution does
 * nothing, changes are pushed. And an empty list would drop the connections that
 * stand: it is handed on as an error, on which the last good list is kept, since
 * a registry that lost its keys is no proof that the schedulers are gone.
 */
import { type ChannelOptions, experimental, Metadata, status } from "@grpc/grpc-js";
import { formatHostPort, type HostPort, isLoopback } from "../config/listen-address.ts";

/** Where names are looked up; etcd is one. */
export interface NameSource {
  /**
   * Watches a name. `onChange` gets the whole list at the start and at each
   * change, `onError` tells that the source cannot be read at present. Returns
   * what ends the watch. Neither callback may come before this returns.
   */
  watch(name: string, onChange: (addresses: readonly HostPort[]) => void, onError: (error: Error) => void): () => void;
}

/** Option of a channel that dials addresses of loopback only: its token would travel in clear text. */
export const LOOPBACK_ONLY = "jobmesh.loopback_only";

/** The scheme of mesh names. */
export const NAME_SCHEME = "etcd";

const sources = new Map<string, NameSource>();
let isRegistered = false;

/**
 * Makes `etcd://AUTHORITY/NAME` resolve by the source. The authority is empty
 * for the process's own mesh; a cluster's name reaches another mesh, which lets
 * one process talk to several. Returns what takes the source away again.
 */
export function registerNameSource(source: NameSource, authority = ""): () => void {
  resolveMeshNames();
  sources.set(authority, source);
  return () => {
    if (sources.get(authority) === source) sources.delete(authority);
  };
}

/** Takes the scheme over: without a source a call then fails by the name, not by a host that no DNS knows. */
export function resolveMeshNames(): void {
  if (isRegistered) return;
  experimental.registerResolver(NAME_SCHEME, NameResolver);
  isRegistered = true;
}

type Listener = experimental.ResolverListener;

class NameResolver implements experimental.Resolver {
  readonly #target: experimental.GrpcUri;
  readonly #listener: Listener;
  readonly #loopbackOnly: boolean;
  #unwatch: (() => void) | null = null;

  constructor(target: experimental.GrpcUri, listener: Listener, options: ChannelOptions) {
    this.#target = target;
    this.#listener = listener;
    this.#loopbackOnly = options[LOOPBACK_ONLY] === 1;
  }

  static getDefaultAuthority(target: experimental.GrpcUri): string {
    return nameOf(target);
  }

  updateResolution(): void {
    if (this.#unwatch !== null) return;
    const source = sources.get(this.#target.authority ?? "");
    if (source === undefined) {
      process.nextTick(() => this.#fail("no registry is set up for this process"));
      return;
    }
    this.#unwatch = source.watch(
      nameOf(this.#target),
      (addresses) => this.#change(addresses),
      (error) => this.#fail(error.message),
    );
  }

  destroy(): void {
    this.#unwatch?.();
    this.#unwatch = null;
  }

  #change(addresses: readonly HostPort[]): void {
    if (this.#unwatch === null) return;
    if (addresses.length === 0) {
      this.#fail("nobody is registered under this name");
      return;
    }
    const dialed = this.#loopbackOnly ? addresses.filter(({ host }) => isLoopback(host)) : addresses;
    if (dialed.length === 0) {
      this.#fail("all are beyond loopback, and the token would go there in clear text: TLS is needed, or --insecure");
      return;
    }
    const unique = new Map(dialed.map((address) => [formatHostPort(address), address]));
    const endpoints = [...unique.values()].map(({ host, port }) => ({ addresses: [{ host, port }] }));
    this.#listener(experimental.statusOrFromValue(endpoints), {}, null, "");
  }

  #fail(why: string): void {
    const details = `${NAME_SCHEME}:///${nameOf(this.#target)}: ${why}`;
    const failure = { code: status.UNAVAILABLE, details, metadata: new Metadata() };
    this.#listener(experimental.statusOrFromError(failure), {}, null, "");
  }
}

function nameOf(target: experimental.GrpcUri): string {
  return target.path.replace(/^\//, "");
}
