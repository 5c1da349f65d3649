import { JobmeshError } from "../../../services/common/error/jobmesh-error.ts";
import type { RpcChannel } from "../../../services/common/rpc/rpc-channel.ts";
import type { SeededRandom } from "../../sim/random.ts";
import { type ContractMethod, contractMethods } from "./fuzz-contract.ts";
import { fuzzSession } from "./fuzz-session.ts";
import { RandomMessage } from "./random-message.ts";
import { validRequests } from "./valid-requests.ts";

/** What a run of requests is made of. */
export type FuzzPlan = {
  readonly channel: RpcChannel;
  readonly random: SeededRandom;
  /** Requests of each method; of a stream its messages. */
  readonly count: number;
  /** Which methods, by their names. */
  readonly methods: RegExp;
  /** Executions that are there, for requests to name. */
  readonly executionIds: readonly string[];
};

/** How it went. */
export type FuzzReport = {
  readonly methods: number;
  /** Requests sent; messages of streams count each. */
  readonly requests: number;
  /** Calls by how they ended: "OK", "INVALID_ARGUMENT INVALID_FIELD" and so on. */
  readonly ends: Readonly<Record<string, number>>;
  /** Calls that ended as none may, ready to be shown: one of each method and end. */
  readonly faults: readonly string[];
};

/** Calls that run at once. */
const IN_FLIGHT = 150;
/** Messages of one stream, at most. */
const MAX_STREAM_MESSAGES = 8;
/** A call that has no reason to wait ends within this, whatever else runs. */
const CALL_LIMIT_MS = 60_000;
/** For calls that wait for what may never come: they are left. */
const WAIT_LIMIT_MS = 100;
/** Calls that wait by their meaning. */
const WAITING = /\/(GetExecution|WatchExecutions|ReadLogs|Watch)$/;
/** Ends that none of these requests may have: a crash, a hang, a defect. */
const UNTYPED = ["INTERNAL", "UNKNOWN", "UNAVAILABLE", "DATA_LOSS"];
/** Characters that a fault shows of its requests. */
const SHOWN_CHARACTERS = 4_000;

/** Sends random and spoilt requests to every method at once, in an order that the seed gives. */
export async function fuzz(plan: FuzzPlan): Promise<FuzzReport> {
  return await new FuzzRun(plan).run();
}

class FuzzRun {
  readonly #plan: FuzzPlan;
  readonly #requests: RandomMessage;
  readonly #left: { readonly method: ContractMethod; readonly valid: readonly Uint8Array[]; count: number }[];
  readonly #ends: Record<string, number> = {};
  readonly #faults = new Map<string, string>();
  #sent = 0;
  #sessions = 0;

  constructor(plan: FuzzPlan) {
    this.#plan = plan;
    this.#requests = new RandomMessage(plan.random, plan.executionIds);
    const methods = contractMethods().filter(({ name }) => plan.methods.test(name));
    this.#left = methods.map((method) => ({
      method,
      valid: validRequests(method.name, plan.executionIds[0] ?? "").map((json) => method.bytesOf(json)),
      count: plan.count,
    }));
  }

  async run(): Promise<FuzzReport> {
    const methods = this.#left.length;
    await Promise.all(Array.from({ length: IN_FLIGHT }, () => this.#worker()));
    const ends = Object.fromEntries(Object.entries(this.#ends).sort(([, a], [, b]) => b - a));
    return { methods, requests: this.#sent, ends, faults: [...this.#faults.values()] };
  }

  async #worker(): Promise<void> {
    while (this.#left.length > 0) {
      const place = this.#plan.random.below(this.#left.length);
      const one = this.#left[place];
      if (one === undefined) return;
      const messages = this.#messages(one.method, one.valid, one.count);
      one.count -= messages.length;
      this.#sent += messages.length;
      if (one.count <= 0) this.#left.splice(place, 1);
      const error = await this.#call(one.method, messages);
      this.#judge(one.method, messages, error);
    }
  }

  /** What one call sends: one message, or those of a stream. */
  #messages(method: ContractMethod, valid: readonly Uint8Array[], left: number): readonly Buffer[] {
    const { random } = this.#plan;
    const { input } = method.desc;
    const wanted = method.raw.requestStream ? 1 + random.below(Math.min(MAX_STREAM_MESSAGES, left)) : 1;
    // A message that cannot be read ends its stream: mostly the last may be one.
    const messages = Array.from({ length: wanted }, (_, place) =>
      place < wanted - 1 && random.chance(0.9)
        ? this.#requests.likely(input, valid)
        : this.#requests.request(input, valid),
    );
    return messages;
  }

  #call(method: ContractMethod, messages: readonly Buffer[]): Promise<JobmeshError | null> {
    const { name, raw } = method;
    const { channel } = this.#plan;
    const timeoutMs = WAITING.test(name) ? WAIT_LIMIT_MS : CALL_LIMIT_MS;
    const [first = Buffer.alloc(0)] = messages;
    if (method.desc.name === "Session" && this.#plan.random.chance(0.8)) {
      this.#sessions += 1;
      return fuzzSession(channel, method, { number: this.#sessions, requests: this.#requests, messages });
    }
    if (raw.requestStream) {
      return new Promise((resolve) => {
        const stream = channel.bidi(raw, { timeoutMs });
        stream.onMessage(() => {});
        stream.onClosed(resolve);
        for (const message of messages) stream.send(message);
        stream.end();
      });
    }
    const answered = raw.responseStream
      ? drained(channel.serverStream(raw, first, { timeoutMs }))
      : channel.unary(raw, first, { timeoutMs });
    return answered.then(
      () => null,
      (thrown: unknown) => JobmeshError.from(thrown),
    );
  }

  #judge({ name }: ContractMethod, messages: readonly Buffer[], error: JobmeshError | null): void {
    const end = error === null ? "OK" : `${error.code} ${error.reason}`;
    this.#ends[end] = (this.#ends[end] ?? 0) + 1;
    if (error === null) return;
    const isHang = error.code === "DEADLINE_EXCEEDED" && !WAITING.test(name);
    if (!isHang && !UNTYPED.includes(error.code) && error.reason !== "REMOTE") return;
    const shown = messages.map((bytes) => bytes.toString("hex")).join(" ");
    this.#faults.set(
      `${name} ${end}`,
      `${name} ended as ${end}: ${error.message}\n  ${shown.slice(0, SHOWN_CHARACTERS)}`,
    );
  }
}

async function drained(answers: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of answers);
}
