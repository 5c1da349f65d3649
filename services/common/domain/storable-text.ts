/**
 * Rule 4: text that every store takes as it is. Lone surrogates and NUL appear
 * as U+FFFD, and a text that is too long is cut between characters, so that no
 * value of a caller can make a store refuse a row.
 */

/** Text of at most `maxChars` UTF-16 units from its start. */
export function storableText(text: string, maxChars: number): string {
  if (text.length <= maxChars) return rendered(text);
  const end = isHighSurrogate(text.charCodeAt(maxChars - 1)) ? maxChars - 1 : maxChars;
  return rendered(text.slice(0, end));
}

/** Text of at most `maxChars` UTF-16 units up to its end: what was said last counts most. */
export function storableTail(text: string, maxChars: number): string {
  if (text.length <= maxChars) return rendered(text);
  const start = text.length - maxChars;
  return rendered(text.slice(isLowSurrogate(text.charCodeAt(start)) ? start + 1 : start));
}

function rendered(text: string): string {
  const wellFormed = text.isWellFormed() ? text : text.toWellFormed();
  return wellFormed.includes("\0") ? wellFormed.replaceAll("\0", "\ufffd") : wellFormed;
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}

function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff;
}
