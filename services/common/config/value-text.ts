/** How values are written in settings, and read back. Readers answer null to what they do not understand. */

const UNITS_MS = new Map([
  ["ms", 1],
  ["s", 1_000],
  ["m", 60_000],
  ["h", 3_600_000],
  ["d", 86_400_000],
]);

const UNITS_BYTES = new Map([
  ["", 1],
  ["KiB", 1024],
  ["MiB", 1024 ** 2],
  ["GiB", 1024 ** 3],
]);

/** Reads "250ms", "1.5s", "1m30s" or "0" as milliseconds. */
export function parseDuration(text: string): number | null {
  if (text === "0") return 0;
  if (!/^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(text)) return null;
  let totalMs = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)) {
    totalMs += Number(amount) * (UNITS_MS.get(unit ?? "") ?? Number.NaN);
  }
  return Number.isSafeInteger(totalMs) ? totalMs : null;
}

/** Writes milliseconds in the largest unit that leaves no fraction. */
export function formatDuration(durationMs: number): string {
  if (durationMs === 0) return "0";
  return inLargestUnit(durationMs, UNITS_MS);
}

/** Reads "4MiB", "512KiB" or "1000" as bytes. */
export function parseBytes(text: string): number | null {
  const match = /^(\d+)(|KiB|MiB|GiB)$/.exec(text);
  const bytes = Number(match?.[1]) * (UNITS_BYTES.get(match?.[2] ?? "") ?? Number.NaN);
  return Number.isSafeInteger(bytes) ? bytes : null;
}

/** Writes bytes in the largest unit that leaves no fraction. */
export function formatBytes(bytes: number): string {
  return bytes === 0 ? "0" : inLargestUnit(bytes, UNITS_BYTES);
}

/** Reads "k=v,k2=v2"; null when a pair has no key, no "=", or comes twice. */
export function parseLabels(text: string): Readonly<Record<string, string>> | null {
  const labels = new Map<string, string>();
  for (const pair of text.split(",")) {
    if (pair.trim() === "") continue;
    const [, key = "", value = ""] = /^\s*([^=\s]+)\s*=\s*(.*?)\s*$/.exec(pair) ?? [];
    if (key === "" || labels.has(key)) return null;
    labels.set(key, value);
  }
  return Object.freeze(Object.fromEntries(labels));
}

function inLargestUnit(amount: number, units: ReadonlyMap<string, number>): string {
  let best = String(amount);
  for (const [unit, size] of units) if (amount % size === 0) best = `${amount / size}${unit}`;
  return best;
}
