import { StoreUnavailable } from "../../port/store.ts";
import { StatementRefused } from "../sql/store-fault.ts";

/** The transaction lost to another one: the server undid it, or would not wait longer. Run it again (rule 1). */
export class LostToAnother extends StoreUnavailable {}

/** The connection is gone or was given up: what it was doing may have happened. */
export class ConnectionGone extends StoreUnavailable {}

/** Deadlock, lock wait timeout, and a row changed since it was read. */
const again = new Set([1213, 1205, 1020]);
/** The server ends connections, or cannot serve for now; 1317, 1969 and 3024 are its statement limit. */
const away = new Set([
  1021, 1037, 1038, 1040, 1041, 1053, 1077, 1079, 1080, 1114, 1129, 1152, 1158, 1159, 1160, 1161, 1184, 1203, 1226,
  1290, 1317, 1792, 1836, 1927, 1969, 2006, 2013, 3024, 3168, 4031,
]);
/** A packet that is too long is the row's fault though it has a connection's SQL state. */
const PACKET_TOO_LARGE = 1153;

/**
 * What mysql2 threw, as the store's errors. Texts of statements never travel
 * with it: they hold what callers sent. A syntax error and the like stay as
 * they are.
 */
export function mysqlFault(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { errno, sqlState, fatal, code } = facts(error);
  if ("sql" in error) delete error.sql;
  if (typeof errno === "number" && again.has(errno)) {
    return new LostToAnother("the transaction lost to others", { cause: error });
  }
  if (typeof errno === "number" && away.has(errno)) {
    return new ConnectionGone(`the store cannot serve: ${error.message}`, { cause: error });
  }
  if (errno === PACKET_TOO_LARGE || /^2[23]/.test(sqlState) || isBadText(errno)) {
    return new StatementRefused(`the store refuses the row: ${error.message}`, { cause: error });
  }
  const byServer = sqlState !== "" && !sqlState.startsWith("08");
  if (fatal || (!byServer && typeof code === "string")) {
    return new ConnectionGone(`the store cannot be reached: ${error.message}`, { cause: error });
  }
  return error;
}

/** Text that the column's character set cannot hold, which MariaDB reports under a general state. */
function isBadText(errno: unknown): boolean {
  return errno === 1366 || errno === 1977 || errno === 3854;
}

function facts(error: Error) {
  const { errno, sqlState, fatal, code } = error as Error & {
    errno?: unknown;
    sqlState?: unknown;
    fatal?: unknown;
    code?: unknown;
  };
  return {
    errno,
    sqlState: typeof sqlState === "string" ? sqlState.replace("#", "") : "",
    fatal: fatal === true,
    code,
  };
}
