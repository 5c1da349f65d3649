/**
 * The bearer token of a call: `authorization: Bearer TOKEN`, as RFC 6750 has it,
 * in the metadata of gRPC and in the header of HTTP alike. What is compared are
 * hashes, all of them each time, so that neither the content of a token, its
 * length nor its place in the list can be measured. The answer to a call that
 * has none is always the same, and never shows what was given.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { JobmeshError } from "../error/jobmesh-error.ts";
import type { Secret } from "../security/secret.ts";

/** Where the token travels. */
export const TOKEN_KEY = "authorization";

const SCHEME = /^bearer +/i;

/** What the metadata of a call says for a token. */
export function bearerOf(token: Secret): string {
  return `Bearer ${token.reveal()}`;
}

/** Knows the tokens that are accepted. */
export class TokenGate {
  readonly #accepted: readonly Buffer[];

  /** @param tokens all that are accepted; none: every call is let in */
  constructor(tokens: readonly Secret[]) {
    this.#accepted = tokens.map((token) => digest(token.reveal()));
  }

  /** True when a call has to have a token. */
  get isShut(): boolean {
    return this.#accepted.length > 0;
  }

  /** Whether the header lets a call in. Null and undefined are calls without one. */
  admits(authorization: string | null | undefined): boolean {
    if (!this.isShut) return true;
    const [scheme] = SCHEME.exec(authorization ?? "") ?? [];
    const given = digest(scheme === undefined ? "" : (authorization ?? "").slice(scheme.length));
    let isKnown = false;
    for (const accepted of this.#accepted) isKnown = timingSafeEqual(accepted, given) || isKnown;
    return isKnown && scheme !== undefined;
  }
}

/** What a call without a valid token is answered. */
export function tokenRefused(): JobmeshError {
  return new JobmeshError("UNAUTHENTICATED");
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
