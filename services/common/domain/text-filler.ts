import { MAX_TARGET_BYTES } from "./target.ts";
import {
  isParameterName,
  isSecretName,
  isTemplateName,
  mayHoldTemplate,
  type TemplatePart,
  type TemplateValues,
  templateParts,
  templateValue,
} from "./template.ts";

/** Where a text of a target stands, which decides what it may hold and how a value is written there. */
export type TextKind = "arg" | "env" | "url" | "header" | "metadata" | "json";

/** Why a text cannot be filled in; its message shows templates, never what was filled in. */
export class TemplateFault extends Error {
  override readonly name = "TemplateFault";
}

/** Reads a secret by its name. Throws where there is none. */
export type SecretReader = (name: string) => string;

/**
 * Texts that may hold secrets: those that no list of processes, no log of a server on the way, and no message of a
 * type that did not fit shows to others.
 */
const SECRET_KINDS: ReadonlySet<TextKind> = new Set(["env", "header", "metadata"]);
const HEADER_PATTERN = /^[\t\x20-\x7e]*$/;
const METADATA_PATTERN = /^[ -~]*$/;
/** Segments that URLs drop with the one before them; an encoded dot is one as well. */
const CLIMBING_PATTERN = /^(\.|%2e){1,2}$/i;
/** Stands for a value; no text of a URL has it. */
const VALUE_MARK = "\0";
/** Characters of a template that a fault shows. */
const MAX_SHOWN_CHARACTERS = 64;
const KNOWN_NAMES =
  "scheduled_time, scheduled_date, execution_id, attempt, shard_index, shard_count, parameters.NAME and labels.NAME";

/** What a TextFiller fills in. */
export type FillerSource = {
  readonly values: TemplateValues;
  readonly secretOf: SecretReader;
  /** What stands for a parameter or a label that is not there; null makes it a fault, as it is where nothing stands for any. */
  readonly standIn?: (isParameter: boolean) => string | null;
};

/**
 * TextFiller fills in the texts of one target, which get no longer than a target
 * may be, all together: a small template of a large parameter, often enough, is
 * no way to fill a process's memory.
 */
export class TextFiller {
  readonly #source: FillerSource;
  #left = MAX_TARGET_BYTES;

  constructor(source: FillerSource) {
    this.#source = source;
  }

  /** The text with its templates filled in. Throws TemplateFault. */
  fill(text: string, kind: TextKind): string {
    if (!mayHoldTemplate(text)) return text;
    let filled = "";
    // The same with a mark for each value: values end no segment of a URL, so both have the same ones.
    let marked = "";
    for (const part of templateParts(text)) {
      const piece = part.kind === "text" ? part.text : this.#piece(part, kind);
      this.#left -= piece.length;
      if (this.#left < 0) throw new TemplateFault(`must be at most ${MAX_TARGET_BYTES} bytes when it is filled in`);
      filled += piece;
      marked += part.kind === "text" ? piece : VALUE_MARK;
    }
    if (kind === "url") checkSegments(filled, marked);
    const pattern = PATTERNS[kind];
    if (pattern !== undefined && !pattern.test(filled)) {
      throw new TemplateFault("must be printable ASCII when it is filled in");
    }
    if ((kind === "env" || kind === "arg") && filled.includes("\0")) throw new TemplateFault("must not hold NUL");
    return filled;
  }

  #piece(part: Exclude<TemplatePart, { kind: "text" }>, kind: TextKind): string {
    const { values, secretOf, standIn } = this.#source;
    const shown = shownTemplate(part);
    if (part.kind === "secret") {
      if (!SECRET_KINDS.has(kind))
        throw new TemplateFault(`${shown}: a secret stands in env, headers and metadata alone`);
      if (!isSecretName(part.name)) throw new TemplateFault(`${shown}: a secret's name is 1 to 128 of [A-Za-z0-9_.-]`);
      return secretOf(part.name);
    }
    if (!isTemplateName(part.name)) throw new TemplateFault(`${shown} is no template; there are ${KNOWN_NAMES}`);
    const value = templateValue(part.name, values) ?? standIn?.(isParameterName(part.name)) ?? null;
    if (value === null) throw new TemplateFault(`${shown} has no value: there is no such parameter or label`);
    return kind === "url" ? urlPart(shown, value) : value;
  }
}

const PATTERNS: Readonly<Partial<Record<TextKind, RegExp>>> = { header: HEADER_PATTERN, metadata: METADATA_PATTERN };

/** A value as a part of a URL: it can end no segment, begin no query, and climb no path. */
function urlPart(shown: string, value: string): string {
  if (value === "." || value === "..") throw new TemplateFault(`${shown} must not be "${value}" in a URL`);
  return encodeURIComponent(value.toWellFormed());
}

/** Throws where values, empty ones as well, make a segment of the path that climbs: what the text itself has is its own. */
function checkSegments(filled: string, marked: string): void {
  const shape = segmentsOf(marked);
  for (const [at, segment] of segmentsOf(filled).entries()) {
    if (!CLIMBING_PATTERN.test(segment) || shape[at]?.includes(VALUE_MARK) !== true) continue;
    throw new TemplateFault(`must not have the segment "${segment}" when it is filled in`);
  }
}

/** The segments of a URL up to its query, by both of the characters that part them. */
function segmentsOf(url: string): readonly string[] {
  return (url.split(/[?#]/, 1)[0] ?? "").split(/[/\\]/);
}

/** A template as it stands, cut short, and where. */
function shownTemplate({ kind, name, at }: Exclude<TemplatePart, { kind: "text" }>): string {
  const cut = name.length > MAX_SHOWN_CHARACTERS ? `${name.slice(0, MAX_SHOWN_CHARACTERS).toWellFormed()}…` : name;
  return kind === "secret" ? `\${secret:${cut}} at character ${at}` : `{{${cut}}} at character ${at}`;
}
