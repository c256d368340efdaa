import { expect, test } from "vitest";
import { leaveShell } from "../../../localstack/parts/shell.ts";

test("accounts, endpoints, Postgres clients' defaults, proxies and npm's words are left out, and named but for npm's", () => {
  const left = {
    AWS_PROFILE: "p",
    AWS_ENDPOINT_URL_SQS: "http://127.0.0.1:1",
    AWS_SESSION_TOKEN: "t",
    PGHOST: "h",
    PGSSLMODE: "verify-full",
    PGMAX: "0",
    DATABASE_SECRET_ARN: "a",
    HTTP_PROXY: "p",
    https_proxy: "p",
    NO_PROXY: "localhost",
    NODE_OPTIONS: "--inspect",
    NODE_USE_ENV_PROXY: "1",
  };
  const kept = { PATH: "/bin", LEASE_SECONDS: "5", DATABASE_URL: "postgres://x", OPENAI_API_KEY: "k" };
  const environment = { ...left, npm_config_registry: "r", npm_package_name: "n", ...kept };

  const names = leaveShell(environment);

  expect(names).toEqual(Object.keys(left).toSorted());
  expect(environment).toEqual({ ...kept, NO_PROXY: "*", no_proxy: "*" });
  expect(leaveShell(environment)).toEqual([]);
});
