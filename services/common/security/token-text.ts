/** A token as the authorization header takes it (RFC 6750), long enough not to be guessed. */
const TOKEN = /^[A-Za-z0-9._~+/=-]{16,512}$/;

/** What a token is made of, for whoever gave something else. */
export const TOKEN_TAKES = "16 to 512 of [A-Za-z0-9._~+/=-]";

/** True when the text can be a token. */
export function isToken(text: string): boolean {
  return TOKEN.test(text);
}
