import { Socket } from "node:net";

/** What postgres.js hands to its option `socket`, which is in its source and not in its types. */
type Target = { host: string[]; port: number[]; path?: string | false };

/** More new connections than this in one second, beyond one for each place of the pool, are a server that hangs up. */
const SPARE_PER_SECOND = 2;

/**
 * Makes the sockets of one pool; `before` runs first, and its error becomes the query's.
 *
 * postgres.js 3.4 connects again at once and for ever where a server takes a connection and closes it without a word, as a
 * proxy does before a database that is down: the query never ends and a core is busy. Here it ends with an error.
 */
export function socketFactory(max: number, before: () => Promise<void>): (target: Target) => Promise<Socket> {
  let second = 0;
  let opened = 0;
  let turn = 0;
  return async ({ host, port, path }) => {
    try {
      await before();
      const now = Math.floor(Date.now() / 1000);
      if (now !== second) opened = 0;
      second = now;
      if (++opened > max + SPARE_PER_SECOND) throw hangUp(host.join());
    } catch (error) {
      return failing(error as Error);
    }
    const socket = new Socket();
    const index = turn++ % host.length;
    // Not awaited: what postgres.js writes waits in the socket, and its connect_timeout counts.
    if (path) socket.connect(path);
    else socket.connect(port[index] ?? 5432, host[index] ?? "localhost");
    return Object.assign(socket, { host: host[index], port: port[index] });
  };
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

function hangUp(host: string): Error {
  const message = `The database's host ${host} takes connections and closes them at once. Is the database behind it up?`;
  return Object.assign(new Error(message), { code: "CONNECTION_CLOSED" });
}
