import { StoreUnavailable } from "../../port/store.ts";
import type { Dialect } from "./dialect.ts";
import type { SqlDatabase, SqlSession } from "./session.ts";

/** A database that is connected later: until then, and after its end, every call is StoreUnavailable. */
export class LateDatabase implements SqlDatabase {
  #database: SqlDatabase | undefined;

  get dialect(): Dialect {
    return this.#get().dialect;
  }

  /** Sets what is behind it; undefined when there is nothing any more. */
  set(database: SqlDatabase | undefined): void {
    this.#database = database;
  }

  transact<T>(name: string, body: (session: SqlSession) => Promise<T>): Promise<T> {
    return this.#database?.transact(name, body) ?? notOpen();
  }

  transactOne<T>(name: string, body: (session: SqlSession) => Promise<T>): Promise<T> {
    return this.#database?.transactOne(name, body) ?? notOpen();
  }

  read<T>(name: string, body: (session: SqlSession) => Promise<T>): Promise<T> {
    return this.#database?.read(name, body) ?? notOpen();
  }

  #get(): SqlDatabase {
    if (this.#database === undefined) throw away();
    return this.#database;
  }
}

function away(): StoreUnavailable {
  return new StoreUnavailable("the store is not open");
}

function notOpen(): Promise<never> {
  return Promise.reject(away());
}
