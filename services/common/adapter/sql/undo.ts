import type { SqlDatabase, SqlSession } from "./session.ts";

/** Ends a transaction without its changes, and still answers. */
class Undone<T> extends Error {
  readonly outcome: T;

  constructor(outcome: T) {
    super("undone");
    this.outcome = outcome;
  }
}

/** Undoes everything that the transaction did; the caller gets the outcome. */
export type Undo<T> = (outcome: T) => never;

/** One transaction that may decide late that nothing is to change: `undo` rolls it back and answers. */
export async function transactOrUndo<T>(
  database: SqlDatabase,
  name: string,
  body: (session: SqlSession, undo: Undo<T>) => Promise<T>,
): Promise<T> {
  const undo = (outcome: T): never => {
    throw new Undone(outcome);
  };
  try {
    return await database.transact(name, (session) => body(session, undo));
  } catch (error) {
    if (error instanceof Undone) return error.outcome as T;
    throw error;
  }
}
