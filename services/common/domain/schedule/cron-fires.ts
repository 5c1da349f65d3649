/**
 * Fires of one cron expression in a zone, and the whole of what a clock change
 * does to them. Time is cut into spans of constant UTC offset; inside a span
 * the expression is matched as if it were UTC; only the joints are special.
 *
 * An expression with `*` or `/` in hours or minutes follows real time: every
 * instant whose local time matches, in both passes of a repeated hour and,
 * where a gap is, simply none.
 *
 * An expression of fixed hours and minutes names local times. One that a gap
 * skips fires once at the first instant after the gap, however many fell into
 * it; that may be a time of the expression itself and is then one fire. One
 * that is repeated fires at the first instant, the second, or both.
 */
import type { ParsedCron } from "./cron-pattern.ts";
import { LocalMatch } from "./local-match.ts";
import type { DstGapPolicy, DstOverlapPolicy } from "./schedule.ts";
import type { ZoneSpan, ZoneSpans } from "./zone-spans.ts";

/** How far a next fire is searched: longer than any two fires of one expression are apart, 40 years. */
const SEARCH_MS = 41 * 366 * 86_400_000;
/** More than the distance of any two offsets, 26 hours. */
const NEAR_MS = 48 * 3_600_000;

/** How clock changes are treated. */
export type DstPolicies = { readonly dstGapPolicy: DstGapPolicy; readonly dstOverlapPolicy: DstOverlapPolicy };

/** The fires of one expression. */
export class CronFires {
  readonly match: LocalMatch;
  readonly #spans: ZoneSpans;
  readonly #firesAfterGap: boolean;
  readonly #skipsSecond: boolean;
  readonly #skipsFirst: boolean;

  constructor(pattern: ParsedCron, spans: ZoneSpans, policies: DstPolicies) {
    this.match = new LocalMatch(pattern);
    this.#spans = spans;
    this.#firesAfterGap = pattern.fixedTime && policies.dstGapPolicy === "FIRE_AFTER";
    this.#skipsSecond = pattern.fixedTime && policies.dstOverlapPolicy === "FIRST";
    this.#skipsFirst = pattern.fixedTime && policies.dstOverlapPolicy === "SECOND";
  }

  /** The first fire strictly after an instant; Infinity when there is none within 41 years. */
  next(afterMs: number): number {
    const limitMs = afterMs + SEARCH_MS;
    let span = this.#spans.at(afterMs + 1);
    let fromMs = afterMs + 1;
    for (;;) {
      if (span.startMs > afterMs && this.firesAtStart(span)) return span.startMs;
      const searched = Math.max(fromMs + span.offsetMs, this.localStart(span));
      const local = this.match.next(searched);
      if (local < this.localEnd(span)) return local - span.offsetMs;
      // Nothing matches from `searched` to `local`, so joints well before `local` cannot fire either,
      // unless a repeated hour goes back behind `searched`.
      const farMs = span.againLocalMs < searched ? span.endMs : local - span.offsetMs - NEAR_MS;
      const laterMs = Math.max(span.endMs, farMs);
      if (laterMs > limitMs) return Number.POSITIVE_INFINITY;
      span = this.#spans.at(laterMs);
      // A later span is read from its start: a repeated hour goes back behind `local`.
      fromMs = span.startMs;
    }
  }

  /** The first local time of a span that may fire. */
  localStart(span: ZoneSpan): number {
    return this.#skipsSecond ? span.freshLocalMs : span.startMs + span.offsetMs;
  }

  /** The first local time that no longer fires in a span. */
  localEnd(span: ZoneSpan): number {
    return this.#skipsFirst ? span.againLocalMs : span.endMs + span.offsetMs;
  }

  /** Whether a gap before a span swallowed times that fire at its start. */
  firesAtStart(span: ZoneSpan): boolean {
    if (!this.#firesAfterGap || span.offsetMs <= span.offsetBeforeMs) return false;
    const skippedFrom = span.startMs + span.offsetBeforeMs;
    return this.match.next(skippedFrom) < span.startMs + span.offsetMs;
  }
}
