/** IANA's names without an area. ICU knows more short names, such as PST and AST, that mean other places than people think. */
const PLAIN_NAMES: ReadonlySet<string> = new Set(
  (
    "UTC GMT UCT Zulu Universal Greenwich GMT0 EST MST HST EST5EDT CST6CDT MST7MDT PST8PDT WET CET MET EET " +
    "Cuba Egypt Eire GB GB-Eire Hongkong Iceland Iran Israel Jamaica Japan Kwajalein Libya NZ NZ-CHAT " +
    "Navajo PRC Poland Portugal ROC ROK Singapore Turkey W-SU"
  )
    .toLowerCase()
    .split(" "),
);

/** Names that were asked for and are right; Intl bounds them to some 600, in lower case. */
const known = new Set<string>();

/** Whether a name is one of an IANA time zone that this process has rules for, in any case. */
export function validateTimeZone(name: string): boolean {
  const key = name.toLowerCase();
  if (known.has(key)) return true;
  if (!/^[a-z][a-z0-9_+\-/]{1,63}$/.test(key)) return false;
  if (!key.includes("/") && !PLAIN_NAMES.has(key)) return false;
  try {
    new Intl.DateTimeFormat("en-US", { timeZone: name });
  } catch {
    return false;
  }
  known.add(key);
  return true;
}
