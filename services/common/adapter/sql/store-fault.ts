import { StoreUnavailable } from "../../port/store.ts";

/**
 * The connection was lost while COMMIT was on its way: the transaction stands
 * or does not (rule 5). Whoever needs to know reads back by identifier.
 */
export class CommitUnknown extends StoreUnavailable {}

/**
 * The store refuses a statement for good: a value that does not fit, a row
 * that breaks a constraint. Running it again changes nothing (rules 4 and 5:
 * bisect the group).
 */
export class StatementRefused extends Error {
  override readonly name = "StatementRefused";
}
