import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { isIP } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres from "postgres";
import { generate } from "selfsigned";
import { vi } from "vitest";
import { freePort } from "../../../localstack/parts/ports.ts";
import { startPostgres } from "../../../localstack/parts/postgres.ts";

/** A certificate authority of a test: its certificates as a file, and what it signs. */
export type Authority = { file: string; sign: (name: string) => Promise<{ private: string; cert: string }> };

const folder = mkdtempSync(join(tmpdir(), "waybill-tls-"));

/** Writes a text to a file of its own that only we read, and answers its path. */
export function fileOf(name: string, text: string): string {
  const file = join(folder, name);
  writeFileSync(file, text, { mode: 0o600 });
  return file;
}

/** Makes an authority; nobody knows it but who reads its file. */
export async function authority(name: string): Promise<Authority> {
  const own = await generate([{ name: "commonName", value: name }], {
    keyType: "ec",
    algorithm: "sha256",
    extensions: [
      { name: "basicConstraints", cA: true, critical: true },
      { name: "keyUsage", keyCertSign: true, critical: true },
    ],
  });
  const sign = async (host: string) =>
    await generate([{ name: "commonName", value: "database" }], {
      keyType: "ec",
      algorithm: "sha256",
      ca: { key: own.private, cert: own.cert },
      extensions: [
        { name: "subjectAltName", altNames: [isIP(host) ? { type: 7, ip: host } : { type: 2, value: host }] },
      ],
    });
  return { file: fileOf(`${name}.pem`, own.cert), sign };
}

/** Starts a Postgres whose TLS is set anew while it runs: `show(null)` turns it off. */
export async function startTlsPostgres() {
  const server = await startPostgres({ dataDir: join(folder, "data"), port: await freePort(), durable: false });
  const ask = async (sql: string) => {
    const db = postgres(server.url("postgres"), { max: 1 });
    try {
      return await db.unsafe(sql);
    } finally {
      await db.end();
    }
  };
  const loaded = async () => String((await ask("select pg_conf_load_time()::text as at"))[0]?.["at"]);
  const set = async (settings: Record<string, string>) => {
    for (const [name, value] of Object.entries(settings)) await ask(`alter system set ${name} = '${value}'`);
    const before = await loaded();
    await ask("select pg_reload_conf()");
    await vi.waitUntil(async () => (await loaded()) !== before, { timeout: 30_000, interval: 20 });
  };
  return {
    port: server.port,
    /** Shows this certificate to whoever connects after this. */
    show: async (certificate: { private: string; cert: string } | null) => {
      if (certificate === null) return await set({ ssl: "off" });
      const ssl_cert_file = fileOf("server.crt", certificate.cert);
      await set({ ssl: "on", ssl_cert_file, ssl_key_file: fileOf("server.key", certificate.private) });
    },
    stop: async () => {
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
