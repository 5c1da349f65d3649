/**
 * Keeps a channel from addresses that its caller refuses. What counts is what a
 * socket connects to, so each list that a name resolves to is looked through
 * before anything is dialed; and a member of the mesh that registered a host's
 * name, which grpc-js leaves to the socket to look up, is looked up by the guard.
 *
 * It is a scheme of its own around those of names, since grpc-js gives a resolver
 * no other place to stand. Schemes that lead elsewhere (unix:, ipv4:) are none here.
 */
import { isIP, type LookupFunction } from "node:net";
import { type ChannelOptions, experimental, Metadata, status } from "@grpc/grpc-js";
import { NAME_SCHEME, resolveMeshNames } from "./name-resolver.ts";

/** What a channel may connect to. */
export interface AddressCheck {
  /** Throws for a literal address that is refused; the error's message tells of `name`, by default the host. */
  checkHost(host: string, name?: string): void;
  /** Looks a host up for a socket, without what is refused; fails with the code TARGET_FORBIDDEN where nothing else is left. */
  readonly lookup: LookupFunction;
}

const SCHEME = "jobmesh-guarded";
const GUARD_OPTION = "jobmesh.dial_guard";
const INNER_PATTERN = new RegExp(`^(?:(dns|${NAME_SCHEME}):(?://([^/]*)/)?)?(.+)$`);

let isRegistered = false;

/** DialGuard is the guard of one channel, and knows which of its addresses were refused. */
export class DialGuard {
  readonly #check: AddressCheck;
  /** Hosts of the last list, with why they are refused; null while nothing says that they are. */
  #hosts: ReadonlyMap<string, { refusal: Error | null }> = new Map();

  constructor(check: AddressCheck) {
    this.#check = check;
  }

  /** The gRPC target by which the address is resolved under this guard. */
  target(address: string): string {
    if (!isRegistered) {
      resolveMeshNames();
      experimental.registerResolver(SCHEME, GuardedResolver);
      isRegistered = true;
    }
    return `${SCHEME}:${address}`;
  }

  /** Options of the channel that target() is for. A proxy would be what is connected to, so none is asked. */
  get options(): ChannelOptions {
    return { [GUARD_OPTION]: this, "grpc.enable_http_proxy": 0 };
  }

  /** Why nothing is dialed: each address of the target is refused; null when one is not, or none is known yet. */
  get forbidden(): Error | null {
    const refusals = [...this.#hosts.values()].map(({ refusal }) => refusal);
    return refusals.includes(null) ? null : (refusals[0] ?? null);
  }

  /**
   * What of the addresses may be dialed; `forbidden` tells why when nothing is left.
   *
   * @param name of the target, for messages.
   */
  admit(endpoints: readonly experimental.Endpoint[], name: string): experimental.Endpoint[] {
    const hosts = new Map<string, { refusal: Error | null }>();
    const admitted = endpoints
      .flatMap(({ addresses }) => addresses)
      .flatMap((address) => {
        // A path of this machine's file system is no address of a network.
        if (!("host" in address)) return [];
        const { host, port } = address;
        const place = { refusal: this.#refusalOf(host, name) };
        hosts.set(host, place);
        if (place.refusal !== null) return [];
        if (isIP(host) !== 0) return [{ addresses: [{ host, port }] }];
        place.refusal = this.#hosts.get(host)?.refusal ?? null;
        // grpc-js hands the address to net.connect as it is, and so the lookup with it.
        return [{ addresses: [{ host, port, lookup: this.#lookup }] }];
      });
    this.#hosts = hosts;
    return admitted;
  }

  readonly #lookup: LookupFunction = (host, options, done) => {
    this.#check.lookup(host, options, (error, address, family) => {
      const place = this.#hosts.get(host);
      const isRefused = error !== null && "code" in error && error.code === "TARGET_FORBIDDEN";
      if (place !== undefined) place.refusal = isRefused ? error : null;
      done(error, address, family);
    });
  };

  #refusalOf(host: string, name: string): Error | null {
    try {
      this.#check.checkHost(host, name);
      return null;
    } catch (thrown) {
      return thrown instanceof Error ? thrown : new Error(String(thrown));
    }
  }
}

class GuardedResolver implements experimental.Resolver {
  readonly #inner: experimental.Resolver;

  constructor(target: experimental.GrpcUri, listener: experimental.ResolverListener, options: ChannelOptions) {
    const guard: unknown = options[GUARD_OPTION];
    if (!(guard instanceof DialGuard)) throw new Error(`a target of ${SCHEME} without its guard`);
    const inner = innerOf(target);
    const name = nameOf(inner);
    const guarded: experimental.ResolverListener = (found, attributes, serviceConfig, note) => {
      if (!found.ok) return listener(found, attributes, serviceConfig, note);
      const admitted = guard.admit(found.value, name);
      if (admitted.length > 0) {
        return listener(experimental.statusOrFromValue(admitted), attributes, serviceConfig, note);
      }
      const details = guard.forbidden?.message ?? `${name}: no address`;
      const failure = { code: status.UNAVAILABLE, details, metadata: new Metadata() };
      listener(experimental.statusOrFromError(failure), attributes, serviceConfig, note);
      // A list that was not taken is asked for again after a while: a name may lead elsewhere by then.
      return false;
    };
    this.#inner = experimental.createResolver(inner, guarded, options);
  }

  static getDefaultAuthority(target: experimental.GrpcUri): string {
    return innerOf(target).path.replace(/^\//, "");
  }

  updateResolution(): void {
    this.#inner.updateResolution();
  }

  destroy(): void {
    this.#inner.destroy();
  }
}

/** The target inside a guarded one; a bare "host:port" is DNS's, as everywhere in gRPC. */
function innerOf({ path }: experimental.GrpcUri): experimental.GrpcUri {
  const [, scheme = "dns", authority, inner = path] = INNER_PATTERN.exec(path) ?? [];
  // Which DNS server is asked is no choice of a target.
  return scheme === "dns" ? { scheme, path: inner } : { scheme, ...(authority ? { authority } : {}), path: inner };
}

function nameOf({ scheme, path }: experimental.GrpcUri): string {
  return scheme === "dns" ? (experimental.splitHostPort(path)?.host ?? path) : `${scheme}:///${path}`;
}
