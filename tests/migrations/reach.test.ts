import { createServer, type Server, type Socket } from "node:net";
import fc from "fast-check";
import { afterEach, expect, test, vi } from "vitest";
import { ConfigError, Unavailable } from "../../lib/errors.ts";
import { migrate } from "../../lib/migrations/migrator.ts";
import { log } from "../../lib/runtime/log.ts";
import { databaseUrl, LOCAL_DATABASE_URL } from "../../lib/runtime/postgres/db.ts";

const servers: Server[] = [];
afterEach(() => {
  vi.restoreAllMocks();
  for (const server of servers.splice(0)) server.close();
});

test("a database that says it is starting up is tried three times, with growing pauses, and then named", async () => {
  const warnings = vi.spyOn(log, "warn");
  const { port, startups } = await fakePostgres("57P03", "the database system is starting up");

  const failed = migrate({ command: "up" }, { DATABASE_URL: `postgres://ann:secret@127.0.0.1:${port}/shop` });

  await expect(failed).rejects.toThrow(Unavailable);
  await expect(failed).rejects.toThrow(
    `The database postgres://127.0.0.1:${port}/shop did not answer in 3 tries (the database system is starting up). ` +
      "Start it, or mend DATABASE_URL.",
  );
  expect(startups).toHaveLength(3);
  const [first, second] = warnings.mock.calls.map(([, fields]) => fields?.["wait_ms"] as number);
  expect(first).toBeGreaterThanOrEqual(500);
  expect(first).toBeLessThanOrEqual(1000);
  expect(second).toBeGreaterThanOrEqual(1000);
  expect(second).toBeLessThanOrEqual(2000);
  expect(JSON.stringify(warnings.mock.calls)).not.toContain("secret");
});

test("a port where nobody listens is tried three times", async () => {
  const warnings = vi.spyOn(log, "warn");
  const port = await listen(createServer());
  for (const server of servers.splice(0)) await new Promise((resolve) => server.close(resolve));

  const failed = migrate({ command: "status" }, { DATABASE_URL: `postgres://ann@127.0.0.1:${port}/shop` });

  await expect(failed).rejects.toThrow(`in 3 tries (connect ECONNREFUSED 127.0.0.1:${port})`);
  expect(warnings.mock.calls.map(([, fields]) => fields?.["tries"])).toEqual([1, 2]);
});

test("a server that takes connections and closes them is given up after three tries", async () => {
  const warnings = vi.spyOn(log, "warn");
  const port = await listen(createServer((socket) => socket.destroy()));

  const failed = migrate({ command: "up" }, { DATABASE_URL: `postgres://ann@127.0.0.1:${port}/shop` });

  await expect(failed).rejects.toThrow(`The database postgres://127.0.0.1:${port}/shop did not answer in 3 tries`);
  expect(warnings.mock.calls.map(([, fields]) => fields?.["tries"])).toEqual([1, 2]);
});

test("a database that refuses us is not tried again", async () => {
  const { port, startups } = await fakePostgres("28P01", "password authentication failed");

  const failed = migrate({ command: "up" }, { DATABASE_URL: `postgres://ann@127.0.0.1:${port}/shop` });

  await expect(failed).rejects.toThrow(ConfigError);
  await expect(failed).rejects.toThrow(
    "refused us: password authentication failed. Mend the password, in DATABASE_URL or",
  );
  expect(startups).toHaveLength(1);
});

test("whatever connection string is configured is exactly the one used", async () => {
  const { port, startups } = await fakePostgres("3D000", "no such database");
  const word = fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 }).filter((text) => !/[\0\\]/.test(text));
  const name = word.filter((text) => !/^\.{1,2}$/.test(text));

  await fc.assert(
    fc.asyncProperty(
      name,
      word,
      name,
      fc.constantFrom("postgres", "postgresql"),
      async (user, password, database, scheme) => {
        startups.length = 0;
        const [u, p, d] = [user, password, database].map(encodeURIComponent);
        const url = `${scheme}://${u}:${p}@127.0.0.1:${port}/${d}`;

        const failed = migrate({ command: "up" }, { DATABASE_URL: url });

        await expect(failed).rejects.toThrow("no such database");
        expect(databaseUrl({ DATABASE_URL: url })).toBe(url);
        expect(startups).toEqual([expect.objectContaining({ user, database })]);
      },
    ),
    { numRuns: 100 },
  );
});

test("without a connection string the documented local default is used, with a warning; on Lambda it is an error", () => {
  const warnings = vi.spyOn(log, "warn");

  expect(databaseUrl({})).toBe(LOCAL_DATABASE_URL);
  expect(databaseUrl({ DATABASE_URL: "" })).toBe(LOCAL_DATABASE_URL);

  expect(warnings).toHaveBeenCalledWith("database url defaulted", expect.objectContaining({ url: LOCAL_DATABASE_URL }));
  expect(() => databaseUrl({ AWS_LAMBDA_RUNTIME_API: "127.0.0.1:9001" })).toThrow("DATABASE_URL is not set");
});

test.each([
  "mysql://localhost/x",
  "localhost:5432",
  "postgres://ann:50%@localhost/x",
  "postgres://ann:a#b@localhost/x",
])("the connection string %s is refused before anything is tried", async (url) => {
  await expect(migrate({ command: "up" }, { DATABASE_URL: url })).rejects.toThrow(ConfigError);
  await expect(migrate({ command: "up" }, { DATABASE_URL: url })).rejects.toThrow("DATABASE_URL");
});

/** A server that reads who asks for which database, and answers every one with this error. */
async function fakePostgres(code: string, message: string) {
  const startups: Record<string, string>[] = [];
  const answer = (socket: Socket) => {
    socket.on("error", () => {});
    socket.once("data", (packet) => {
      const words = packet
        .subarray(8, packet.readInt32BE(0) - 2)
        .toString()
        .split("\0");
      startups.push(Object.fromEntries(words.flatMap((key, at) => (at % 2 === 0 ? [[key, words[at + 1] ?? ""]] : []))));
      const fields = Buffer.from(`SFATAL\0VFATAL\0C${code}\0M${message}\0\0`);
      const head = Buffer.alloc(5);
      head.write("E");
      head.writeInt32BE(fields.length + 4, 1);
      socket.end(Buffer.concat([head, fields]));
    });
  };
  return { port: await listen(createServer(answer)), startups };
}

async function listen(server: Server): Promise<number> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}
