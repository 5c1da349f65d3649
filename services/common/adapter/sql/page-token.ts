import { PageTokenFault } from "../../port/store.ts";

/** A place in a list as an opaque token: the values of the last item's key. */
export function pageToken(place: readonly (string | number)[]): string {
  return Buffer.from(JSON.stringify(place)).toString("base64url");
}

/** The place that a token names, `kinds` of values long. Throws PageTokenFault when the token is not one of ours. */
export function parsePageToken<const Kinds extends readonly ("string" | "number")[]>(
  token: string,
  kinds: Kinds,
): { [K in keyof Kinds]: Kinds[K] extends "string" ? string : number } {
  let place: unknown;
  try {
    place = JSON.parse(Buffer.from(token, "base64url").toString());
  } catch {
    throw new PageTokenFault("the page token is not one that a list gave");
  }
  if (!Array.isArray(place) || place.length !== kinds.length || place.some((value, at) => typeof value !== kinds[at])) {
    throw new PageTokenFault("the page token is not one that this list gave");
  }
  return place as { [K in keyof Kinds]: Kinds[K] extends "string" ? string : number };
}
