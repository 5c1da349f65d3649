import { fromBinary, type JsonObject, toJson } from "@bufbuild/protobuf";
import type { JobmeshError } from "../../../services/common/error/jobmesh-error.ts";
import type { RpcChannel } from "../../../services/common/rpc/rpc-channel.ts";
import type { ContractMethod } from "./fuzz-contract.ts";
import type { RandomMessage } from "./random-message.ts";
import { fakeExecutor, firstWords, reportsOf } from "./valid-requests.ts";

/** One session of a made-up executor. */
export type FuzzedSession = {
  /** Another for each session. */
  readonly number: number;
  readonly requests: RandomMessage;
  /** What it says when it has heard enough, last. */
  readonly messages: readonly Buffer[];
};

/** Attempts that it takes before it says its last. */
const MAX_TAKEN = 2;
/** It waits no longer for them. */
const HEARS_MS = 300;

/**
 * ExecutorService.Session as an executor that was welcomed: it takes work and reports spoilt things of attempts that
 * are really its own, which is where a report reaches the store. Resolves with how the stream ended.
 */
export function fuzzSession(
  channel: RpcChannel,
  { raw, desc, bytesOf }: ContractMethod,
  { number, requests, messages }: FuzzedSession,
): Promise<JobmeshError | null> {
  return new Promise((resolve) => {
    const stream = channel.bidi(raw);
    let taken = 0;
    const end = (): void => {
      for (const message of messages) stream.send(message);
      stream.end();
    };
    const late = setTimeout(end, HEARS_MS);
    stream.onMessage((bytes) => {
      const { dispatch } = toJson(desc.output, fromBinary(desc.output, bytes)) as { dispatch?: Dispatch };
      if (dispatch === undefined) return;
      const valid = reportsOf(dispatch.event.key, fakeExecutor(number)).map(bytesOf);
      for (const one of valid) stream.send(requests.likely(desc.input, [one]));
      taken += 1;
      if (taken < MAX_TAKEN) return;
      clearTimeout(late);
      end();
    });
    stream.onClosed((error) => {
      clearTimeout(late);
      resolve(error);
    });
    for (const words of firstWords(number)) stream.send(Buffer.from(bytesOf(words)));
  });
}

type Dispatch = { readonly event: { readonly key: JsonObject } };
