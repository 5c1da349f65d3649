import { JobmeshError } from "../../common/error/jobmesh-error.ts";
import { type Page, PageTokenFault } from "../../common/port/store.ts";
import type { FieldFaults } from "./field-faults.ts";

/** Rows of a page when none are asked for, and at most. */
const DEFAULT_PAGE_SIZE = 100;
const MAX_PAGE_SIZE = 1_000;
/** A page ends before it has more bytes than these, after at least one row (rule 28). */
export const MAX_PAGE_BYTES = 1024 * 1024;
/** Bytes that a message takes in a page besides its own: its field's number, and its length. */
const FRAME_BYTES = 5;

/** Reads a page size: 1 to 1,000; 100 when unset. */
export function readPageSize(faults: FieldFaults, value: number): number {
  return faults.whole("page_size", value, { min: 1, max: MAX_PAGE_SIZE, unset: DEFAULT_PAGE_SIZE });
}

/** How a row is shown: as a message that ts-proto can encode. */
export type Shown<Row, Message> = {
  readonly toMessage: (row: Row) => Message;
  readonly type: { encode(message: Message): { finish(): Uint8Array } };
};

/**
 * Reads one page of the store as messages. One that has more bytes than a page
 * may have is read once more with as many rows as fit, so that its token is the
 * one of the rows that it shows, whatever was added meanwhile. A page token that
 * the store does not know is INVALID_ARGUMENT.
 */
export async function cutPage<Row, Message>(
  pageSize: number,
  pageToken: string,
  read: (size: number, token: string | null) => Promise<Page<Row>>,
  { toMessage, type }: Shown<Row, Message>,
): Promise<{ messages: Message[]; nextPageToken: string }> {
  for (let size = pageSize; ; ) {
    const page = await readPage(pageToken, (token) => read(size, token));
    const messages = page.items.map(toMessage);
    const fitting = countFitting(messages, type);
    if (fitting === messages.length) return { messages, nextPageToken: page.nextToken ?? "" };
    size = fitting;
  }
}

/** A page of rows as they are, for who cuts it by himself. */
export function readPage<Row>(
  pageToken: string,
  read: (token: string | null) => Promise<Page<Row>>,
): Promise<Page<Row>> {
  return read(pageToken === "" ? null : pageToken).catch((error: unknown) => {
    if (!(error instanceof PageTokenFault)) throw error;
    throw JobmeshError.invalid({ field: "page_token", description: "must be the next_page_token of the page before" });
  });
}

/** How many of these, from the first on, fit a page; one at least. */
export function countFitting<Message>(messages: readonly Message[], type: Shown<never, Message>["type"]): number {
  let bytes = 0;
  const end = messages.findIndex((message, index) => {
    bytes += type.encode(message).finish().length + FRAME_BYTES;
    return index > 0 && bytes > MAX_PAGE_BYTES;
  });
  return end === -1 ? messages.length : end;
}
