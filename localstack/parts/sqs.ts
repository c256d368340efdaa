import { startFauxqs } from "fauxqs";

/** The region that everything local claims to be in. */
export const LOCAL_REGION = "eu-central-1";

/** An SQS API of our own over HTTP, on loopback only; with `dataDir` its messages outlive a restart. */
export type LocalSqs = { port: number; endpoint: string; stop: () => Promise<void> };

/**
 * Starts the SQS API on `port` (0: any free one). Rejects where the port is taken, and where fauxqs is not patched
 * (patches/README.md): it would listen on every address of this machine.
 */
export async function startSqs(options: { port: number; dataDir?: string }): Promise<LocalSqs> {
  const server = await startFauxqs({
    port: options.port,
    listenHost: "127.0.0.1",
    logger: false,
    defaultRegion: LOCAL_REGION,
    ...(options.dataDir === undefined ? {} : { dataDir: options.dataDir }),
  });
  if (new URL(server.address).hostname !== "127.0.0.1") {
    await server.stop();
    throw new Error("fauxqs is not patched, so it listens on every address. Run: npx patch-package");
  }
  return { port: server.port, endpoint: `http://127.0.0.1:${server.port}`, stop: () => server.stop() };
}
