import { type LookupAddress, type LookupAllOptions, lookup as systemLookup } from "node:dns";
import { BlockList, isIP, type LookupFunction } from "node:net";

/**
 * Keeps targets away from where clouds hand out credentials: an executor stands
 * inside a network, and whoever may submit chooses what it connects to. What
 * counts is the address that is connected to, not the name: it is checked inside
 * the lookup whose answer the socket uses, so neither a name that changes its
 * address between two looks nor a redirect passes it. Loopback and private
 * networks are allowed: that is where services run.
 */

/** IPv4 networks that are refused, by address and length of the prefix. */
const REFUSED_IPV4: readonly (readonly [string, number])[] = [
  // Link-local: the metadata services of AWS, Azure, Google Cloud, Oracle, OpenStack and most others.
  ["169.254.0.0", 16],
  // Alibaba Cloud.
  ["100.100.100.200", 32],
  // Oracle Cloud, classic.
  ["192.0.0.192", 32],
  // Azure: settings and certificates of the machine.
  ["168.63.129.16", 32],
];

/** IPv6 networks that are refused besides those of REFUSED_IPV4. */
const REFUSED_IPV6: readonly (readonly [string, number])[] = [
  ["fe80::", 10],
  // AWS: fd00:ec2::254, and the credentials of pods at fd00:ec2::23.
  ["fd00:ec2::", 32],
  // Google Cloud.
  ["fd20:ce::254", 128],
  // Scaleway.
  ["fd00:42::42", 128],
];

/** Bits in front of an IPv4 address inside an IPv6 one. */
const EMBEDDED_AT = 96;
/** Bits of the 6to4 prefix 2002::/16, behind which an IPv4 address stands. */
const SIX_TO_FOUR_AT = 16;

const refused = refusedAddresses();

/** Thrown where a target leads to an address that is refused. Its message names the host, not the address. */
export class ForbiddenAddressError extends Error {
  override readonly name = "ForbiddenAddressError";
  readonly code = "TARGET_FORBIDDEN";

  constructor(host: string) {
    super(`${host} is a link-local or cloud metadata address, which targets may not reach here`);
  }
}

/** True for link-local and cloud metadata addresses, also inside IPv4-mapped, NAT64 and 6to4 ones. */
export function isForbiddenAddress(address: string): boolean {
  const [plain = ""] = address.split("%");
  const family = isIP(plain);
  return family !== 0 && refused.check(plain, family === 4 ? "ipv4" : "ipv6");
}

/** Settings of an AddressGuard. */
export type AddressGuardConfig = {
  /** True lets targets reach link-local and cloud metadata addresses. */
  readonly allowMetadataAddresses: boolean;
};

/** AddressGuard says what targets may connect to. */
export class AddressGuard {
  readonly #allowsAll: boolean;

  constructor(config: AddressGuardConfig) {
    this.#allowsAll = config.allowMetadataAddresses;
  }

  /**
   * Throws ForbiddenAddressError for a literal address that is refused. No socket
   * looks such a host up, so whoever connects asks here first.
   *
   * @param host a name or an address; IPv6 with or without brackets.
   * @param name what the error names: the host as the target has it, where another one was looked up for it.
   */
  checkHost(host: string, name = host): void {
    if (!this.#allowsAll && isForbiddenAddress(host.replace(/^\[(.*)\]$/, "$1"))) throw new ForbiddenAddressError(name);
  }

  /**
   * For `lookup` of a socket: the system's, without the addresses that are
   * refused; fails with ForbiddenAddressError where no other is left.
   */
  readonly lookup: LookupFunction = (host, options, done) => {
    const wanted: LookupAllOptions = { ...options, all: true };
    systemLookup(host, wanted, (error, found) => {
      if (error !== null) return done(error, "");
      const allowed = this.#allowsAll ? found : found.filter(({ address }) => !isForbiddenAddress(address));
      const [first] = allowed;
      if (first === undefined) return done(new ForbiddenAddressError(host), "");
      answer(done, options.all === true, allowed, first);
    });
  };
}

function answer(
  done: Parameters<LookupFunction>[2],
  wantsAll: boolean,
  all: LookupAddress[],
  first: LookupAddress,
): void {
  if (wantsAll) done(null, all);
  else done(null, first.address, first.family);
}

function refusedAddresses(): BlockList {
  const list = new BlockList();
  for (const [address, prefix] of REFUSED_IPV4) {
    // A BlockList matches IPv4-mapped addresses by its IPv4 rules.
    list.addSubnet(address, prefix, "ipv4");
    const words = address.split(".").map((part) => Number(part).toString(16).padStart(2, "0"));
    const [high, low] = [`${words[0]}${words[1]}`, `${words[2]}${words[3]}`];
    list.addSubnet(`64:ff9b::${high}:${low}`, EMBEDDED_AT + prefix, "ipv6");
    list.addSubnet(`::${high}:${low}`, EMBEDDED_AT + prefix, "ipv6");
    list.addSubnet(`2002:${high}:${low}::`, SIX_TO_FOUR_AT + prefix, "ipv6");
  }
  for (const [address, prefix] of REFUSED_IPV6) list.addSubnet(address, prefix, "ipv6");
  return list;
}
