/** Calls the HTTP API and answers its JSON; throws what the problem says. */
export async function call<T>(url: string, path: string, body?: unknown): Promise<T> {
  const response = await answerOf(`${url}${path}`, body);
  return (await response.json()) as T;
}

/** The bytes that a GET answers. */
export async function download(url: string, path: string): Promise<Buffer> {
  const response = await answerOf(`${url}${path}`);
  return Buffer.from(await response.arrayBuffer());
}

async function answerOf(url: string, body?: unknown): Promise<Response> {
  const sent =
    body === undefined
      ? {}
      : { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json" } };
  const response = await fetch(url, sent);
  if (response.ok) return response;
  throw new Error(
    `${body === undefined ? "GET" : "POST"} ${url} answered ${response.status}: ${await response.text()}`,
  );
}
