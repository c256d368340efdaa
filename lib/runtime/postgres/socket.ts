import { Socket } from "node:net";
import { secured, type Tls } from "./tls.ts";

/** What postgres.js hands to its option `socket`, which is in its source and not in its types. */
type Target = { host: string[]; port: number[]; path?: string | false };

/** More new connections than this in one second, beyond one for each place of the pool, are a server that hangs up. */
const SPARE_PER_SECOND = 2;

/** The sockets of one pool. */
export type Sockets = {
  /** Makes one; postgres.js connects by it. */
  open: (target: Target) => Promise<Socket>;
  /** Ends those that are left, also where nobody answers on the other side. */
  destroy: () => void;
};

/**
 * Makes the sockets of one pool, encrypted where `tls` says so; `before` runs first, and its error becomes the query's, as that of
 * the encryption does. One on which nothing came or went for `silenceMs`, with a statement under way or not, is taken for dead; 0 is
 * for ever.
 *
 * postgres.js 3.4 connects again at once and for ever where a server takes a connection and closes it without a word, as a
 * proxy does before a database that is down: the query never ends and a core is busy. Here it ends with an error.
 */
export function socketsOf(max: number, silenceMs: number, before: () => Promise<void>, tls: Tls | undefined): Sockets {
  const sockets = new Set<Socket>();
  let second = 0;
  let opened = 0;
  let turn = 0;
  const open: Sockets["open"] = async ({ host, port, path }) => {
    try {
      await before();
      const now = Math.floor(Date.now() / 1000);
      if (now !== second) opened = 0;
      second = now;
      if (++opened > max + SPARE_PER_SECOND) throw hangUp(host.join());
    } catch (error) {
      return failing(error as Error);
    }
    const socket = new LineSocket(sockets);
    const index = turn++ % host.length;
    socket.setTimeout(silenceMs);
    const target = { host: host[index] ?? "localhost", port: port[index] ?? 5432 };
    // Not awaited: what is written waits in the socket, and the connect_timeout of postgres.js counts.
    if (path) socket.connect(path);
    else socket.connect(target.port, target.host);
    if (path || tls === undefined) return Object.assign(socket, target);
    try {
      return Object.assign(await secured(socket, target.host, tls), target);
    } catch (error) {
      return failing(error as Error);
    }
  };
  return { open, destroy: () => sockets.forEach((socket) => socket.destroy()) };
}

/**
 * A socket that is in `open` as long as it is, and ends itself where it is silent for longer than its timeout. Both without
 * listeners: postgres.js takes all off before it speaks TLS.
 */
class LineSocket extends Socket {
  readonly #open: Set<Socket>;

  constructor(open: Set<Socket>) {
    super();
    this.#open = open;
    open.add(this);
  }

  override emit(event: string | symbol, ...args: unknown[]): boolean {
    if (event === "timeout") this.destroy(silent(this.timeout ?? 0));
    return super.emit(event, ...(args as []));
  }

  override destroy(error?: Error): this {
    this.#open.delete(this);
    return super.destroy(error);
  }
}

/**
 * A socket that fails with this error as soon as something was written to it. Thrown, or before the write, it would leave
 * postgres.js with a connection that is being made for ever.
 */
function failing(error: Error): Socket {
  const socket = new Socket();
  socket.write = () => {
    setImmediate(() => socket.destroy(error));
    return true;
  };
  return socket;
}

function silent(ms: number): Error {
  const message = `The database said nothing for ${ms} ms, longer than a statement may take: the connection is dead.`;
  return Object.assign(new Error(message), { code: "ETIMEDOUT" });
}

function hangUp(host: string): Error {
  const message = `The database's host ${host} takes connections and closes them at once. Is the database behind it up?`;
  return Object.assign(new Error(message), { code: "CONNECTION_CLOSED" });
}
