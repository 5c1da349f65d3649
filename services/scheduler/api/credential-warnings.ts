import type { Target } from "../../../gen/jobmesh/v1/job.ts";
import { literalCredentials } from "../../common/domain/http-header.ts";
import { queryCredentials } from "../../common/domain/url-credential.ts";
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
  look(target: Target | undefined, owner: TargetOwner): void {
    const kind = target?.kind;
    if (kind?.$case === "http") {
      const { url } = kind.value;
      const host = hostOf(url);
      for (const parameter of queryCredentials(url)) {
        if (!this.#isNew(owner, host, `?${parameter}`)) continue;
        this.#log.warn({ ...fieldsOf(owner), host, parameter }, "an HTTP target holds a credential in its URL");
      }
      for (const header of literalCredentials(kind.value.headers)) {
        if (!this.#isNew(owner, host, header)) continue;
        this.#log.warn({ ...fieldsOf(owner), host, header }, "an HTTP target holds a credential in so many words");
      }
    }
    if (kind?.$case === "grpc") {
      const { address, metadata } = kind.value;
      for (const key of literalCredentials(metadata)) {
        if (!this.#isNew(owner, address, key)) continue;
        this.#log.warn({ ...fieldsOf(owner), address, key }, "a gRPC target holds a credential in so many words");
      }
    }
  }

  /** True when the place was not told of yet; from now on it was. */
  #isNew({ namespace, jobId }: TargetOwner, host: string, name: string): boolean {
    const place = JSON.stringify([namespace, jobId, host, name.toLowerCase()]);
    if (this.#told.has(place)) return false;
    this.#told.add(place);
    if (this.#told.size > MAX_TOLD) this.#told.delete(this.#told.values().next().value ?? "");
    return true;
  }
}

/** The host of a URL that was checked, with the templates that it may hold. */
function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : (/^https?:\/\/([^/?#]*)/i.exec(url)?.[1] ?? "");
}

/** An owner is often more than that: what is logged is its name alone. */
function fieldsOf({ namespace, jobId }: TargetOwner): TargetOwner {
  return { namespace, jobId };
}
