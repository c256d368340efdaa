/** Where the HTTP API is, and the key for it. */
export type Api = { url: string; key: string };

/** Calls the HTTP API and answers its JSON; throws what the problem says. */
export async function call<T>(api: Api, path: string, body?: unknown): Promise<T> {
  const response = await answerOf(api, path, body);
  return (await response.json()) as T;
}

/** The bytes that a GET answers. */
export async function download(api: Api, path: string): Promise<Buffer> {
  const response = await answerOf(api, path);
  return Buffer.from(await response.arrayBuffer());
}

async function answerOf(api: Api, path: string, body?: unknown): Promise<Response> {
  const url = `${api.url}${path}`;
  const headers = { authorization: `Bearer ${api.key}` };
  const sent =
    body === undefined
      ? { headers }
      : { method: "POST", body: JSON.stringify(body), headers: { ...headers, "content-type": "application/json" } };
  const response = await fetch(url, sent);
  if (response.ok) return response;
  throw new Error(
    `${body === undefined ? "GET" : "POST"} ${url} answered ${response.status}: ${await response.text()}`,
  );
}
