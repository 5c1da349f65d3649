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

  async transact<T>(name: string, body: (session: SqlSession) => Promise<T>): Promise<T> {
    return await this.#get().transact(name, body);
  }

  async transactOne<T>(name: string, body: (session: SqlSession) => Promise<T>): Promise<T> {
    return await this.#get().transactOne(name, body);
  }

  async read<T>(name: string, body: (session: SqlSession) => Promise<T>): Promise<T> {
    return await this.#get().read(name, body);
  }

  #get(): SqlDatabase {
    if (this.#database === undefined) throw new StoreUnavailable("the store is not open");
    return this.#database;
  }
}
