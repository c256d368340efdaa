/** The closed set of errors. The type decides what happens; everything else is a fault of ours: 500, or a retry. */

/** What is wrong with a field, and where in a text that was sent as a file. */
export type FieldFault = { field: string; message: string; line?: number; column?: number };

/** The caller can mend it: becomes an HTTP answer of `status` with the stable `code`. */
export class CallerError extends Error {
  override name = "CallerError";
  readonly status: 400 | 401 | 403 | 404 | 405 | 408 | 409 | 413 | 415 | 416 | 417 | 429 | 431;
  readonly code: string;
  readonly fields: FieldFault[];
  readonly headers: Record<string, string>;

  constructor(
    status: CallerError["status"],
    code: string,
    message: string,
    more: { fields?: FieldFault[]; headers?: Record<string, string>; cause?: unknown } = {},
  ) {
    super(message, { cause: more.cause });
    this.status = status;
    this.code = code;
    this.fields = more.fields ?? [];
    this.headers = more.headers ?? {};
  }
}

/** The configuration is wrong: the process must not start. The message names the variable and what to set. */
export class ConfigError extends Error {
  override name = "ConfigError";
}

/** A part of the service is not set up right: 503 `misconfigured`, with these words. A person has to mend it. */
export class Misconfigured extends Error {
  override name = "Misconfigured";
}

/** Something that we need does not answer: 503 with Retry-After, or the queue delivers again. */
export class Unavailable extends Error {
  override name = "Unavailable";
}

/** Migrating was refused, or a migration failed: nothing half done is left. Each fault says what to do. */
export class MigrationFault extends Error {
  override name = "MigrationFault";
  readonly faults: string[];

  constructor(faults: string[], more: { cause?: unknown } = {}) {
    super(faults.join("\n"), more);
    this.faults = faults;
  }
}

/** An error that is made once, as the reason of many: without a stack, which would keep all that loaded this module in memory. */
export function abortReason(message: string): Error {
  const error = new Error(message);
  error.stack = message;
  return error;
}
