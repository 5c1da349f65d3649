import type { SubmitExecutionRequest } from "../../gen/jobmesh/v1/execution_service.ts";
import type { MeshClient } from "../../services/client/mesh-client.ts";
import { JobmeshError } from "../../services/common/error/jobmesh-error.ts";

/** One acknowledged submission. */
export type Acknowledged = { readonly executionId: string; readonly requestId: string; readonly number: number };

/** What the n-th submission is, from 0. */
export type MakeSubmission = (
  number: number,
) => Partial<SubmitExecutionRequest> & Pick<SubmitExecutionRequest, "target">;

/** Between two tries of a call while nobody answers. */
const TRY_AGAIN_MS = 20;

/**
 * Callers that submit without end, each call with a request_id and tried again
 * while the mesh is away, as a caller should. Every submission is acknowledged
 * in the end, or `stop` rejects.
 */
export class Submitters {
  readonly acknowledged: Acknowledged[] = [];
  /** Tries that found nobody. */
  unavailableCount = 0;
  readonly #client: MeshClient;
  readonly #make: MakeSubmission;
  readonly #loops: Promise<void>;
  readonly #waiting: { count: number; done: () => void }[] = [];
  #next = 0;
  #stopped = false;

  constructor(client: MeshClient, make: MakeSubmission, concurrency: number) {
    this.#client = client;
    this.#make = make;
    this.#loops = Promise.all(Array.from({ length: concurrency }, () => this.#loop())).then(() => undefined);
    this.#loops.catch(() => undefined);
  }

  /** Resolves when that many more are acknowledged than are now. */
  more(count: number): Promise<void> {
    if (count === 0) return Promise.resolve();
    const wanted = this.acknowledged.length + count;
    const reached = new Promise<void>((done) => {
      this.#waiting.push({ count: wanted, done });
    });
    return Promise.race([reached, this.#loops]);
  }

  /** Begins nothing new, and waits until what was begun is acknowledged. */
  async stop(): Promise<readonly Acknowledged[]> {
    this.#stopped = true;
    await this.#loops;
    return this.acknowledged;
  }

  async #loop(): Promise<void> {
    while (!this.#stopped) {
      const number = this.#next++;
      const requestId = `submission-${number}`;
      const executionId = await this.#submit({ ...this.#make(number), requestId });
      this.acknowledged.push({ executionId, requestId, number });
      for (const waiting of this.#waiting) if (this.acknowledged.length >= waiting.count) waiting.done();
    }
  }

  async #submit(submission: ReturnType<MakeSubmission>): Promise<string> {
    for (;;) {
      try {
        return (await this.#client.submit(submission)).executionId;
      } catch (error) {
        if (JobmeshError.from(error).code !== "UNAVAILABLE") throw error;
        this.unavailableCount += 1;
        await new Promise((done) => setTimeout(done, TRY_AGAIN_MS));
      }
    }
  }
}
