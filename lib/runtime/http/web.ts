// The inside of the HTTP edge speaks the platform's Request and Response, so that handlers made for them can be mounted as they
// are. But the first `new Request` of a process loads fetch: 62 ms and 18 MB of a cold start, 70 us a call (Node 24.21, measured
// beside node:http's 6 ms and 4 MB). So a request and an answer are kept as the parts that they were made of, and become the
// platform's own when somebody asks for what only those can do. Hono's Lambda adapter makes a `new Request` of each event.

/** What a request is made of. `search` is the raw query without `?`; header names are in lower case. */
export type RequestSource = {
  method: string;
  origin: string;
  path: string;
  search: string;
  headers: Record<string, string>;
  body: string | Buffer | undefined;
  /** Aborted when the caller is gone. */
  signal: AbortSignal;
};

/** What an answer is made of; a body that is iterated is given as it comes. */
export type ResponseSource = {
  status: number;
  headers: Record<string, string>;
  /** Each goes out as a Set-Cookie of its own: the one header that cannot be joined with commas. */
  cookies?: readonly string[];
  body: string | Uint8Array | AsyncIterable<string | Uint8Array>;
};

const requests = new WeakMap<Request, RequestSource>();
const responses = new WeakMap<Response, ResponseSource>();

/** A Request of these parts. */
export function requestOf(source: RequestSource): Request {
  const { method, signal } = source;
  const request = lazily<Request>({ method, url: urlOf(source), signal }, () => platformRequest(source));
  requests.set(request, source);
  return request;
}

/** The platform's own Request of these parts, which also holds before `instanceof` and `new Request(request)`. */
export function platformRequest(source: RequestSource): Request {
  const { method, headers, signal } = source;
  const body = source.body === undefined || method === "GET" || method === "HEAD" ? {} : { body: source.body };
  const request = new Request(urlOf(source), { method, headers, signal, ...body });
  requests.set(request, source);
  return request;
}

function urlOf({ origin, path, search }: RequestSource): string {
  return `${origin}${path}${search === "" ? "" : `?${search}`}`;
}

/** A Response of these parts. */
export function responseOf(source: ResponseSource): Response {
  const { status, cookies = [], body } = source;
  const response = lazily<Response>({ status, ok: status >= 200 && status < 300 }, () => {
    const headers = new Headers(source.headers);
    for (const cookie of cookies) headers.append("set-cookie", cookie);
    if (body === "") return new Response(null, { status, headers });
    const whole = typeof body === "string" || body instanceof Uint8Array;
    return new Response(whole ? Buffer.from(body) : ReadableStream.from(encoded(body)), { status, headers });
  });
  responses.set(response, source);
  return response;
}

/** The parts of a request, whoever made it. */
export async function partsOfRequest(request: Request): Promise<RequestSource> {
  const known = requests.get(request);
  if (known !== undefined) return known;
  const { method, signal } = request;
  const { origin, pathname, search } = new URL(request.url);
  const headers = Object.fromEntries(request.headers);
  const body = request.body === null ? undefined : Buffer.from(await request.arrayBuffer());
  const source = { method, origin, path: pathname, search: search.slice(1), headers, body, signal };
  // Its body can be read but once.
  requests.set(request, source);
  return source;
}

/** The parts of an answer, whoever made it. */
export function partsOfResponse(response: Response): ResponseSource {
  const known = responses.get(response);
  if (known !== undefined) return known;
  const { status, body } = response;
  const { "set-cookie": _, ...headers } = Object.fromEntries(response.headers);
  const cookies = response.headers.getSetCookie();
  return { status, headers, ...(cookies.length === 0 ? {} : { cookies }), body: body ?? "" };
}

/** The answer to HEAD: that of GET with the length of its content and without it (RFC 9110, 9.3.2). One that is iterated stays. */
export function withoutContent(response: Response): Response {
  const { body, ...head } = partsOfResponse(response);
  if (!(typeof body === "string" || body instanceof Uint8Array) || body.length === 0) return response;
  const headers = { ...head.headers, "content-length": String(Buffer.byteLength(body)) };
  return responseOf({ ...head, headers, body: "" });
}

/** Something of which a few properties are known, and whose rest is made when it is first asked for. */
function lazily<T extends object>(known: Partial<T>, make: () => T): T {
  let made: T | undefined;
  return new Proxy({} as T, {
    get: (_target, name) => {
      // Asked by every await; the platform's own has none.
      if (name === "then") return undefined;
      if (name in known) return known[name as keyof T];
      made ??= make();
      const value: unknown = Reflect.get(made, name, made);
      return typeof value === "function" ? (value.bind(made) as unknown) : value;
    },
  });
}

async function* encoded(parts: AsyncIterable<string | Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const part of parts) yield typeof part === "string" ? Buffer.from(part) : part;
}
