import { JobmeshError } from "../../common/error/jobmesh-error.ts";
import { type Page, PageTokenFault } from "../../common/port/store.ts";
import type { FieldFaults } from "./field-faults.ts";

/** Rows of a page when none are asked for, and at most. */
const DEFAULT_PAGE_SIZE = 100;
const MAX_PAGE_SIZE = 1_000;

/** Reads a page size: 1 to 1,000; 100 when unset. */
export function readPageSize(faults: FieldFaults, value: number): number {
  return faults.whole("page_size", value, { min: 1, max: MAX_PAGE_SIZE, unset: DEFAULT_PAGE_SIZE });
}

/** Reads one page of the store as messages. A page token that the store does not know is INVALID_ARGUMENT. */
export async function cutPage<Row, Message>(
  pageSize: number,
  pageToken: string,
  read: (size: number, token: string | null) => Promise<Page<Row>>,
  toMessage: (row: Row) => Message,
): Promise<{ messages: Message[]; nextPageToken: string }> {
  const page = await read(pageSize, pageToken === "" ? null : pageToken).catch((error: unknown) => {
    if (!(error instanceof PageTokenFault)) throw error;
    throw JobmeshError.invalid({ field: "page_token", description: "must be the next_page_token of the page before" });
  });
  return { messages: page.items.map(toMessage), nextPageToken: page.nextToken ?? "" };
}
