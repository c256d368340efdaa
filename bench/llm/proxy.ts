// A process of its own for bench/llm/run.ts: what Node itself takes for handing a request on and the answer back.
import http from "node:http";
import type { AddressInfo } from "node:net";
import { tellUsed } from "./usage.ts";

const agent = new http.Agent({ keepAlive: true });
const server = http.createServer((request, response) => {
  const { "content-type": type, "content-length": length } = request.headers;
  const onward = http.request(`${process.env["BENCH_VENDOR"]}${request.url}`, {
    method: "POST",
    agent,
    headers: { "content-type": type, "content-length": length },
  });
  onward.on("response", (answer) => {
    response.writeHead(answer.statusCode ?? 502, { "content-type": answer.headers["content-type"] });
    answer.pipe(response);
  });
  request.pipe(onward);
});
server.listen(0, "127.0.0.1", () => {
  tellUsed();
  process.send?.({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
});
