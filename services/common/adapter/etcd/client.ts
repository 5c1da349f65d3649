import { getCACertificates } from "node:tls";
import { Etcd3, EtcdLeaseInvalidError, type IOptions } from "etcd3";
import type { Clock } from "../../port/clock.ts";
import { quietGrpc } from "../../rpc/grpc-log.ts";
import type { EtcdTls } from "../../security/link-security.ts";
import { type Change, type Entry, type EtcdCalls, LeaseGone, type Listing, type WatchEvents } from "./etcd-calls.ts";
import { faultText } from "./fault.ts";
import { Hosts, type HostsDeps } from "./hosts.ts";

/** One call. etcd3 itself would wait for ever on a node that hangs. */
const CALL_MS = 1_000;
/** Of several nodes that may hang two are asked in that time, whatever has made the first one late. */
const TRIES_IN_CALL = 2;
/** Keys of one answer; etcd's prefixes are read in pages. */
const PAGE_SIZE = 1_000;
/** Keys of a prefix that are read. */
const MAX_ENTRIES = 50_000;

/** etcd refuses pings that come more often than each 5 s. */
const CHANNEL_OPTIONS = {
  "grpc.keepalive_time_ms": 10_000,
  "grpc.keepalive_timeout_ms": 3_000,
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 1_000,
  "grpc.max_receive_message_length": 32 * 1024 * 1024,
  "grpc.enable_channelz": 0,
};

/** A policy as etcd3 takes it. */
type Policy = NonNullable<NonNullable<IOptions["faultHandling"]>["global"]>;

/**
 * One try: Hosts makes the others. etcd3's own default, a breaker for each host, keeps a single node unreachable for 5 s
 * after an outage of one.
 */
const once: Policy = {
  _altReturn: undefined as never,
  onSuccess: () => ({ dispose: () => {} }),
  onFailure: () => ({ dispose: () => {} }),
  execute: async (call, signal = new AbortController().signal) => await call({ signal }),
};

/**
 * EtcdClient is the calls that the registry makes, each bounded in time. It
 * leaves out etcd3's own leases and watchers: the first say late that they are
 * lost and never when a keep-alive was sent, the second may skip changes when
 * they reconnect, and throw where nobody can catch. It leaves out etcd3's choice
 * of a host, too, which is by chance and tries no stream again.
 */
export class EtcdClient implements EtcdCalls {
  readonly #hosts: Hosts<Etcd3>;
  readonly #all: readonly Etcd3[];
  readonly #clock: Clock;
  readonly #tryMs: number;
  readonly #tls: EtcdTls | null;

  constructor(deps: HostsDeps, endpoints: readonly string[], tls: EtcdTls | null = null) {
    quietGrpc();
    this.#clock = deps.clock;
    this.#tls = tls;
    this.#tryMs = endpoints.length > 1 ? CALL_MS / TRIES_IN_CALL : CALL_MS;
    this.#all = endpoints.map((endpoint) => this.#connect(endpoint));
    this.#hosts = new Hosts(deps, this.#all, {
      minTries: Math.min(endpoints.length, TRIES_IN_CALL),
      maxTries: Math.max(endpoints.length, TRIES_IN_CALL),
      // While there is time for one more, less a little for timers that fire late.
      budgetMs: CALL_MS - this.#tryMs * 0.9,
      isAnswer: (thrown) => thrown instanceof EtcdLeaseInvalidError || thrown instanceof LeaseGone,
    });
  }

  async ping(key: string): Promise<void> {
    await this.#hosts.call((etcd) => etcd.kv.range({ key: Buffer.from(key), count_only: true }));
  }

  async list(prefix: string): Promise<Listing> {
    const { key: first, range_end } = prefixRange(prefix);
    const entries: Entry[] = [];
    let key = first;
    let revision: string | undefined;
    for (;;) {
      const at = revision === undefined ? {} : { revision };
      const request = { key, range_end, limit: PAGE_SIZE, ...at };
      const page = await this.#hosts.call((etcd) => etcd.kv.range(request));
      revision ??= page.header.revision;
      for (const kv of page.kvs) entries.push(entryOf(kv));
      const last = page.kvs.at(-1);
      if (!page.more || last === undefined) return { revision: BigInt(revision), entries };
      if (entries.length >= MAX_ENTRIES) throw new Error(`more than ${MAX_ENTRIES} keys under ${prefix}`);
      key = Buffer.concat([last.key, Buffer.from([0])]);
    }
  }

  async get(key: string): Promise<Entry | null> {
    const { kvs } = await this.#hosts.call((etcd) => etcd.kv.range({ key: Buffer.from(key) }));
    return kvs[0] === undefined ? null : entryOf(kvs[0]);
  }

  async put(key: string, value: string, leaseId: string): Promise<void> {
    const request = { key: Buffer.from(key), value: Buffer.from(value), lease: leaseId };
    try {
      await this.#hosts.call((etcd) => etcd.kv.put(request));
    } catch (err) {
      throw err instanceof EtcdLeaseInvalidError ? new LeaseGone("etcd does not know the lease", { cause: err }) : err;
    }
  }

  async grant(ttlSeconds: number): Promise<string> {
    return (await this.#hosts.call((etcd) => etcd.leaseClient.leaseGrant({ TTL: ttlSeconds }))).ID;
  }

  async keepAlive(leaseId: string): Promise<void> {
    await this.#hosts.call((etcd) => this.#keepAliveAt(etcd, leaseId));
  }

  async revoke(leaseId: string): Promise<void> {
    try {
      await this.#hosts.call((etcd) => etcd.leaseClient.leaseRevoke({ ID: leaseId }));
    } catch (err) {
      if (!(err instanceof EtcdLeaseInvalidError)) throw err;
    }
  }

  watch(prefix: string, fromRevision: bigint, events: WatchEvents): () => void {
    let close = (): void => {};
    let isOver = false;
    const etcd = this.#hosts.first;
    const end = (why: string | null): void => {
      if (isOver) return;
      isOver = true;
      late.cancel();
      close();
      if (why !== null) events.onEnded(why);
    };
    const fail = (why: string): void => {
      if (!isOver) this.#hosts.leave(etcd);
      end(why);
    };
    const late = this.#clock.setTimer(CALL_MS, () => fail(`etcd did not begin the watch within ${CALL_MS} ms`));
    const opening = etcd.watchClient.watch().then((stream) => {
      // Ended before cancelled: etcd3 takes a cancelled stream that is still writable for a failure of the host.
      close = () => {
        stream.end();
        stream.cancel();
      };
      stream.on("error", (err) => fail(faultText(err)));
      stream.on("end", () => fail("etcd ended the watch"));
      stream.on("data", (response) => {
        if (isOver) return;
        if (response.canceled) return end(cancelText(response));
        if (response.created) {
          late.cancel();
          events.onOpened();
        }
        if (response.events.length > 0) events.onChanges(response.events.map(changeOf));
      });
      if (isOver) return close();
      stream.write({ create_request: { ...prefixRange(prefix), start_revision: String(fromRevision) } });
    });
    opening.catch((err: unknown) => fail(faultText(err)));
    return () => end(null);
  }

  close(): void {
    for (const etcd of this.#all) etcd.close();
  }

  #connect(endpoint: string): Etcd3 {
    return new Etcd3({
      hosts: endpoint,
      ...(this.#tls === null ? {} : { credentials: credentialsOf(this.#tls) }),
      grpcOptions: CHANNEL_OPTIONS,
      defaultCallOptions: ({ isStream }) => (isStream ? {} : this.#deadline()),
      faultHandling: { host: () => once, global: once },
    });
  }

  async #keepAliveAt(etcd: Etcd3, leaseId: string): Promise<void> {
    const stream = await etcd.leaseClient.leaseKeepAlive(this.#deadline());
    await new Promise<void>((resolve, reject) => {
      stream.on("error", reject);
      stream.on("end", () => reject(new Error("etcd ended the keep-alive without an answer")));
      stream.on("data", ({ TTL }) => {
        stream.end();
        if (Number(TTL) > 0) resolve();
        else reject(new LeaseGone("the lease has expired"));
      });
      stream.write({ ID: leaseId });
    });
  }

  #deadline(): { deadline: number } {
    return { deadline: this.#clock.wallUs() / 1_000 + this.#tryMs };
  }
}

/** As etcd3 takes them; without roots it would trust nobody. */
function credentialsOf({ ca, identity }: EtcdTls): NonNullable<IOptions["credentials"]> {
  const rootCertificate = Buffer.from(ca ?? getCACertificates("default").join("\n"));
  if (identity === null) return { rootCertificate };
  return { rootCertificate, certChain: Buffer.from(identity.cert), privateKey: Buffer.from(identity.key.reveal()) };
}

type KeyValue = Awaited<ReturnType<Etcd3["kv"]["range"]>>["kvs"][number];

function entryOf({ key, value, lease, mod_revision }: KeyValue): Entry {
  return { key: key.toString(), value: value.toString(), leaseId: lease, revision: BigInt(mod_revision) };
}

function changeOf({ type, kv }: { readonly type: string; readonly kv: KeyValue }): Change {
  const entry = entryOf(kv);
  // On the wire the names are in capitals, whatever etcd3's types say.
  return { key: entry.key, revision: entry.revision, entry: type.toUpperCase() === "DELETE" ? null : entry };
}

function cancelText({ compact_revision, cancel_reason }: { compact_revision: string; cancel_reason: string }): string {
  if (compact_revision !== "0") return `etcd has compacted the history to revision ${compact_revision}`;
  return `etcd cancelled the watch: ${cancel_reason}`;
}

/** All keys that begin with a prefix: up to the prefix with its last byte raised. It ends with "/", so it can be. */
function prefixRange(prefix: string): { key: Buffer; range_end: Buffer } {
  const end = Buffer.from(prefix);
  const last = end.length - 1;
  end[last] = (end[last] ?? 0) + 1;
  return { key: Buffer.from(prefix), range_end: end };
}
