import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

export type Way = "to server" | "to client";

/**
 * What becomes of a piece of data. `silence`: neither it nor anything later of its connection arrives, and nobody is told, as where a
 * network forgets a connection. `cut`: both sides see a reset.
 */
export type Verdict = "pass" | "silence" | "cut" | { delayMs: number };

/** Looks at what goes through a proxy; whatever it does not name passes. */
export type Tamper = (data: Buffer, way: Way) => Verdict;

/** The way of one process to the database, which the harness can break. */
export type DatabaseProxy = {
  url: string;
  /** Has all data looked at from now on; without an argument everything passes again, but what is silent stays so. */
  tamper: (how?: Tamper) => void;
  /** New connections are closed at once, while this is on. */
  refuse: (on: boolean) => void;
  /** Resets every open connection. */
  cut: () => void;
  close: () => Promise<void>;
};

const passing: Tamper = () => "pass";

/**
 * The server finds by its keepalive that nobody is there, as our sessions have it set: 10 s idle, then three probes 5 s apart. Here its
 * probes would be answered for ever, by this process; and what it was told half, a statement parsed and not executed, has no other end.
 */
export const KEEPALIVE_MS = 25_000;

/** Starts a proxy before the database of this URL. */
export async function startDatabaseProxy(url: string): Promise<DatabaseProxy> {
  const through = new URL(url);
  const target = { host: through.hostname, port: Number(through.port) };
  const open = new Set<Socket>();
  let tamper = passing;
  let refusing = false;
  const server = createServer((client) => {
    if (refusing) return void client.resetAndDestroy();
    open.add(client);
    join(
      client,
      connect(target),
      (data, way) => tamper(data, way),
      () => open.delete(client),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  through.port = String((server.address() as AddressInfo).port);
  const cut = () => {
    for (const client of open) client.resetAndDestroy();
  };
  return {
    url: through.href,
    tamper: (how = passing) => {
      tamper = how;
    },
    refuse: (on) => {
      refusing = on;
    },
    cut,
    close: async () => {
      cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function join(client: Socket, upstream: Socket, tamper: Tamper, over: () => void): void {
  let silent = false;
  const fallSilent = () => {
    silent = true;
    setTimeout(() => upstream.destroy(), KEEPALIVE_MS).unref();
  };
  const end = () => {
    over();
    client.resetAndDestroy();
    upstream.destroy();
  };
  const carry = (from: Socket, to: Socket, way: Way) => {
    // In order, whatever is delayed.
    let waiting: Promise<void> | undefined;
    const write = (data: Buffer) => {
      if (!silent && to.writable) to.write(data);
    };
    from.on("data", (data: Buffer) => {
      if (silent) return;
      const verdict = tamper(data, way);
      if (verdict === "silence") fallSilent();
      else if (verdict === "cut") end();
      else if (verdict === "pass" && waiting === undefined) write(data);
      else {
        const delayMs = verdict === "pass" ? 0 : verdict.delayMs;
        const before = waiting;
        const afterwards = async () => {
          await before;
          await sleep(delayMs);
          write(data);
          if (waiting === mine) waiting = undefined;
        };
        const mine = afterwards();
        waiting = mine;
      }
    });
    from.on("error", () => {});
    // A connection that is silent does not tell the other side either.
    from.on("close", () => (silent ? over() : end()));
  };
  carry(client, upstream, "to server");
  carry(upstream, client, "to client");
}
