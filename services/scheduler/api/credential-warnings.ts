import type { Target } from "../../../gen/jobmesh/v1/job.ts";
import { literalCredentials } from "../../common/domain/http-header.ts";
import type { Logger } from "../../common/runtime/log.ts";

/** Places that are remembered as told; the oldest goes, and is told again. */
const MAX_TOLD = 1_000;

/** Whose target it is. */
export type TargetOwner = { readonly namespace: string; readonly jobId: string };

/**
 * CredentialWarnings says in the scheduler's log that a target holds a
 * credential in so many words, once for each job, or host where there is no job:
 * thousands of submissions a second are one line. The value is never named. The
 * log of each attempt says it, too.
 */
export class CredentialWarnings {
  readonly #log: Logger;
  readonly #told = new Set<string>();

  constructor(log: Logger) {
    this.#log = log;
  }

  /** Looks at a target that was checked. */
  look(target: Target | undefined, { namespace, jobId }: TargetOwner): void {
    if (target?.kind?.$case !== "http") return;
    const { url, headers } = target.kind.value;
    const { host } = new URL(url);
    for (const header of literalCredentials(headers)) {
      const place = JSON.stringify([namespace, jobId, host, header.toLowerCase()]);
      if (this.#told.has(place)) continue;
      this.#told.add(place);
      if (this.#told.size > MAX_TOLD) this.#told.delete(this.#told.values().next().value ?? "");
      this.#log.warn({ namespace, jobId, host, header }, "an HTTP target holds a credential in so many words");
    }
  }
}
