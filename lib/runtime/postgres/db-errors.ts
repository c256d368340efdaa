// postgres.js's own codes, ours for TLS, those of the socket, and SQLSTATE 08 (connection), 57P (shutdown), 53300 (too many).
const CONNECTION_ERRORS =
  /^(CONNECT_TIMEOUT|CONNECTION_(CLOSED|ENDED|DESTROYED)|TLS_REFUSED|ECONNREFUSED|ECONNRESET|EPIPE|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|08...|57P0[1-3]|53300)$/;

/** Whether the database did not answer, as against answering with an error. A change that was under way may have landed. */
export function isConnectionError(error: unknown): boolean {
  return CONNECTION_ERRORS.test(codeOf(error));
}

/** Whether the database has no TLS where that is asked for, or a certificate that does not do; the message says what to set. */
export function isTlsRefused(error: unknown): boolean {
  return codeOf(error) === "TLS_REFUSED";
}

/** Whether the database refused the password: it was rotated since we read it. */
export function isPasswordRefused(error: unknown): boolean {
  return codeOf(error) === "28P01";
}

/**
 * Whether the next call should have a new connection: this one is lost, its password was rotated, or its server takes no writes (25006),
 * as after a failover, where another one does.
 */
export function isConnectionSpent(error: unknown): boolean {
  return isConnectionError(error) || isPasswordRefused(error) || codeOf(error) === "25006";
}

// Statement timeout, lock timeout, serialisation failure, deadlock, and what the server lacks: memory, disk, connections.
const BUSY_ERRORS = /^(57014|55P03|40001|40P01|53...)$/;

/** Whether the database answered that it cannot just now; nothing of the statement has landed. */
export function isBusyError(error: unknown): boolean {
  return BUSY_ERRORS.test(codeOf(error)) || lostItsPartition(error);
}

/** The row was on its way to the default partition when its month got one of its own. */
function lostItsPartition(error: unknown): boolean {
  return codeOf(error) === "23514" && (error as Error).message.includes("violates partition constraint");
}

/**
 * Whether the database refuses the data of a statement, and will again: SQLSTATE classes 22 (data), 23 (constraint), 54 (limit), P0
 * (a trigger raises).
 */
export function isDataRefused(error: unknown): boolean {
  return /^(22|23|54|P0)...$/.test(codeOf(error)) && !isBusyError(error);
}

/** Whether the same statement may soon be done: the database is away, busy, takes no writes or is not migrated yet (42P01). */
export function isDatabaseAway(error: unknown): boolean {
  return isConnectionSpent(error) || isBusyError(error) || codeOf(error) === "42P01";
}

/** No class of SQLSTATE begins with E; every errno does: EPERM, E2BIG. */
const SQLSTATE = /^(?!E)[0-9A-Z]{5}$/;

/**
 * Whether it is not what the database was given that kept a statement from being done: the database is away, or it answers whatever is
 * not about the data, such as that a column is not there. With another database, or other code, the same data may do.
 */
export function isNotTheData(error: unknown): boolean {
  return isDatabaseAway(error) || (SQLSTATE.test(codeOf(error)) && !isDataRefused(error));
}

const LOST = /^(CONNECTION_CLOSED|ECONNRESET|EPIPE|ETIMEDOUT)$/;

/** Whether a connection is gone under a statement. Only errors that postgres.js rejected a statement with have the query. */
export function isLostConnection(error: unknown): boolean {
  return typeof error === "object" && error !== null && "query" in error && LOST.test(codeOf(error));
}

function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null | undefined)?.code;
  return typeof code === "string" ? code : "";
}
