/** What the command ends with: scripts tell by it what to do next. */
export const EXIT = { done: 0, failed: 1, usage: 2, auth: 6, conflict: 7 } as const;

/** What was asked for cannot be done: the message is for the person at the terminal, the code for its scripts. */
export class Refused extends Error {
  override name = "Refused";
  readonly exit: number;

  constructor(message: string, exit: number = EXIT.failed, more: { cause?: unknown } = {}) {
    super(message, more);
    this.exit = exit;
  }
}

/** The exit code of an answer of the API that is no success. */
export function exitOf(status: number): number {
  if (status === 401 || status === 403) return EXIT.auth;
  if (status === 409) return EXIT.conflict;
  return status === 400 ? EXIT.usage : EXIT.failed;
}
