/** A database whose clock is the test's. */
import type { SqlDatabase, SqlSession } from "../../services/common/adapter/sql/session.ts";

/** The same database; `nowUs` is asked each time that a transaction wants to know. */
export function clockedDatabase(database: SqlDatabase, nowUs: () => number): SqlDatabase {
  const timed = (session: SqlSession): SqlSession => ({
    dialect: session.dialect,
    query: (sql, params) => session.query(sql, params),
    execute: (sql, params) => session.execute(sql, params),
    executeEach: (sql, params) => session.executeEach(sql, params),
    queryWithNow: (sql, params) => session.query(sql, params),
    nowUs: () => Promise.resolve(nowUs()),
  });
  return {
    dialect: database.dialect,
    read: (kind, body) => database.read(kind, (session) => body(timed(session))),
    transact: (kind, body) => database.transact(kind, (session) => body(timed(session))),
    transactOne: (kind, body) => database.transactOne(kind, (session) => body(timed(session))),
  };
}
