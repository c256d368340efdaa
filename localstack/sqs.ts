import { type ListenOptions, Server } from "node:net";
import { startFauxqs } from "fauxqs";

/** The region that everything local claims to be in. */
export const LOCAL_REGION = "eu-central-1";

/** An SQS API of our own over HTTP, on loopback only; with `dataDir` its messages outlive a restart. */
export type LocalSqs = { port: number; endpoint: string; stop: () => Promise<void> };

/** Starts the SQS API on `port` (0: any free one). */
export async function startSqs(options: { port: number; dataDir?: string }): Promise<LocalSqs> {
  const restore = listenOnLoopback();
  try {
    const server = await startFauxqs({
      port: options.port,
      logger: false,
      defaultRegion: LOCAL_REGION,
      ...(options.dataDir === undefined ? {} : { dataDir: options.dataDir }),
    });
    return { port: server.port, endpoint: `http://127.0.0.1:${server.port}`, stop: () => server.stop() };
  } finally {
    restore();
  }
}

/** fauxqs 2.4 listens on 0.0.0.0 and has no option for it: while it starts, listening means loopback. */
function listenOnLoopback(): () => void {
  const listen = Object.getOwnPropertyDescriptor(Server.prototype, "listen");
  if (listen === undefined) throw new Error("This Node has no net.Server.listen; run: npm ci");
  const original = listen.value as Server["listen"];
  Server.prototype.listen = function onLoopback(this: Server, ...args: unknown[]): Server {
    const [first, ...rest] = args;
    const bound =
      typeof first === "object" && first !== null ? { ...(first as ListenOptions), host: "127.0.0.1" } : first;
    return Reflect.apply(original, this, [bound, ...rest]) as Server;
  };
  return () => Object.defineProperty(Server.prototype, "listen", listen);
}
