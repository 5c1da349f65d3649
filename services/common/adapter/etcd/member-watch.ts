import type { Clock } from "../../port/clock.ts";
import type { Member } from "../../port/registry.ts";
import type { Logger } from "../../runtime/log.ts";
import type { Change, Entry, EtcdCalls } from "./etcd-calls.ts";
import { faultText } from "./fault.ts";
import { isSameMember, readMember } from "./naming.ts";
import { Nap } from "./nap.ts";

/**
 * Rule 30: lists are the truth and changes are hints. The view is read as a
 * list when the watch begins, each 10 s, after every break of the stream and
 * when etcd is back; the stream begins at the revision after its list's, and its
 * changes only make the view fresh in between. Changes that come while a list
 * is read are kept and applied to it when they are newer, since its answer may
 * have been overtaken by them.
 */

/** What a MemberWatch needs. */
export interface MemberWatchDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly client: Pick<EtcdCalls, "list" | "watch">;
  /** The members have changed. */
  onMembers(members: readonly Member[]): void;
  /** The stream broke, or a list could not be read. */
  onBroken(): void;
}

/** What is watched. */
export type MemberWatchConfig = { readonly name: string; readonly prefix: string };

const LIST_INTERVAL_MS = 10_000;
const FIRST_RETRY_MS = 50;
const MAX_RETRY_MS = 1_000;
/** Changes kept while a list is read; with more of them the list is dropped, and read again in its turn. */
const MAX_KEPT_CHANGES = 10_000;

/** MemberWatch is the view of one name. */
export class MemberWatch {
  readonly #deps: MemberWatchDeps;
  readonly #config: MemberWatchConfig;
  readonly #nap: Nap;
  readonly #closing = new AbortController();
  readonly #passedOver = new Map<string, bigint>();
  #view = new Map<string, Member>();
  #members: readonly Member[] | null = null;
  #fault: string | null = "was not read yet";
  #endStream: (() => void) | null = null;
  #keptChanges: Change[] | null = null;
  #failures = 0;
  #running: Promise<void> | null = null;

  constructor(deps: MemberWatchDeps, config: MemberWatchConfig) {
    this.#deps = deps;
    this.#config = config;
    this.#nap = new Nap(deps.clock);
  }

  /** Why the view is not up to date; null when it is. */
  get fault(): string | null {
    return this.#fault === null ? null : `${this.#config.name}: ${this.#fault}`;
  }

  /** Members sorted by instance; null before the first list. */
  get members(): readonly Member[] | null {
    return this.#members;
  }

  start(): void {
    this.#running = this.#run();
  }

  /** etcd is away: the view stands, and is not fresh until the next list. */
  setAway(): void {
    this.#fault = "was not read since the outage";
  }

  /** etcd is back: reads the list now. */
  refresh(): void {
    this.#failures = 0;
    this.#nap.wake();
  }

  async stop(): Promise<void> {
    this.#closing.abort();
    this.#endStream?.();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      const revision = await this.#read();
      if (signal.aborted) return;
      if (revision !== null && this.#endStream === null) this.#open(revision + 1n);
      if (revision !== null) await this.#nap.sleep(LIST_INTERVAL_MS, signal);
      // A stream that broke has woken us; its list waits a little, lest a refused watch makes us spin.
      if (revision === null || this.#endStream === null) await this.#nap.sleep(this.#retryMs(), signal);
    }
  }

  #retryMs(): number {
    return Math.min(FIRST_RETRY_MS * 2 ** this.#failures, MAX_RETRY_MS);
  }

  /** Reads the list into the view; returns its revision, null when it could not be read. */
  async #read(): Promise<bigint | null> {
    const kept: Change[] = [];
    this.#keptChanges = kept;
    try {
      const { revision, entries } = await this.#deps.client.list(this.#config.prefix);
      if (this.#closing.signal.aborted || kept.length > MAX_KEPT_CHANGES) return null;
      this.#replace(entries);
      for (const change of kept) if (change.revision > revision) this.#apply(change);
      this.#fault = null;
      this.#tell();
      return revision;
    } catch (err) {
      this.#broke(faultText(err));
      return null;
    } finally {
      this.#keptChanges = null;
    }
  }

  #open(revision: bigint): void {
    this.#endStream = this.#deps.client.watch(this.#config.prefix, revision, {
      onOpened: () => {
        this.#failures = 0;
      },
      onChanges: (changes) => {
        if (this.#keptChanges !== null && this.#keptChanges.length <= MAX_KEPT_CHANGES) {
          this.#keptChanges.push(...changes);
        }
        for (const change of changes) this.#apply(change);
        this.#tell();
      },
      onEnded: (why) => {
        this.#endStream = null;
        this.#broke(why);
        this.#nap.wake();
      },
    });
  }

  #broke(why: string): void {
    if (this.#closing.signal.aborted) return;
    this.#failures += 1;
    this.#fault = why;
    this.#deps.log.debug({ name: this.#config.name, why }, "the watch of members is broken");
    this.#deps.onBroken();
  }

  #replace(entries: readonly Entry[]): void {
    this.#view = new Map();
    for (const entry of entries) this.#apply({ key: entry.key, revision: entry.revision, entry });
    for (const key of this.#passedOver.keys())
      if (!entries.some((entry) => entry.key === key)) this.#passedOver.delete(key);
  }

  #apply({ key, revision, entry }: Change): void {
    const instance = key.slice(this.#config.prefix.length);
    const member = entry === null ? null : readMember(this.#config.name, instance, entry.value);
    if (member === null || instance === "") this.#view.delete(instance);
    else this.#view.set(instance, member);
    if (entry === null || member !== null) {
      this.#passedOver.delete(key);
      return;
    }
    if (this.#passedOver.get(key) === revision) return;
    this.#passedOver.set(key, revision);
    this.#deps.log.warn({ key }, "a key that holds no member is passed over");
  }

  #tell(): void {
    const members = [...this.#view.values()].sort((a, b) => (a.instance < b.instance ? -1 : 1));
    const before = this.#members;
    const isSame = before?.length === members.length && members.every((member, at) => isSameAt(before, member, at));
    if (isSame) return;
    this.#members = members;
    this.#deps.onMembers(members);
  }
}

function isSameAt(members: readonly Member[], member: Member, at: number): boolean {
  const other = members[at];
  return other !== undefined && isSameMember(other, member);
}
