import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** A TCP proxy on loopback before a server, whose connections a test can break as networks do. */
export type Proxy = {
  port: number;
  /** How many connections it has taken so far, and how many are open. */
  taken: () => number;
  open: () => number;
  /** What happens to data and to new connections from now on: hang up closes them at once, swallow answers nothing. */
  behave: (how: "pass" | "hang up" | "swallow") => void;
  /** Ends every open connection, politely (FIN) or not (RST). */
  cut: (how: "fin" | "rst") => void;
  /** Ends the next new connection so instead of passing this answer of the server, counted from 1. */
  cutAfter: (answers: number, how: "fin" | "rst") => void;
  close: () => Promise<void>;
};

/** Starts a proxy before `url`'s server and answers it with the URL that leads through it. */
export async function startProxy(url: string): Promise<Proxy & { url: string }> {
  const through = new URL(url);
  const target = { host: through.hostname, port: Number(through.port) };
  const open = new Set<Socket>();
  let taken = 0;
  let manner: Parameters<Proxy["behave"]>[0] = "pass";
  let ending: { answers: number; how: "fin" | "rst" } | undefined;
  const server = createServer((client) => {
    taken++;
    let left = ending?.answers ?? Number.POSITIVE_INFINITY;
    const how = ending?.how;
    ending = undefined;
    if (manner === "hang up") return void client.destroy();
    const upstream = connect(target);
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      from.on("data", (data) => {
        if (from === upstream && --left <= 0) end(client, how);
        else if (manner !== "swallow") to.write(data);
      });
      from.on("error", () => {});
      from.on("close", () => {
        open.delete(from);
        to.destroy();
      });
    }
    open.add(client);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  through.port = String(port);
  const cut: Proxy["cut"] = (how) => {
    for (const client of open) end(client, how);
  };
  return {
    port,
    url: through.href,
    taken: () => taken,
    open: () => open.size,
    cutAfter: (answers, how) => {
      ending = { answers, how };
    },
    behave: (how) => {
      manner = how;
    },
    cut,
    close: async () => {
      cut("fin");
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function end(client: Socket, how?: "fin" | "rst"): void {
  if (how === "rst") client.resetAndDestroy();
  else client.destroy();
}
