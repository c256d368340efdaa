import { expect, test, vi } from "vitest";
import {
  localiseEnvironment,
  queueEvents,
  type Service,
  takeSchedules,
} from "../../../localstack/functions/serverless-service.ts";

function service(): Service {
  return {
    provider: {
      region: "eu-central-1",
      environment: {
        LOG_LEVEL: "info",
        WORK_QUEUE_URL: { Ref: "WorkQueue" },
        DATABASE_SECRET_ARN: "{{resolve:ssm:/waybill/dev/database-secret-arn}}",
      },
    },
    functions: {
      dispatch: {
        name: "waybill-dev-dispatch",
        environment: { ONLY_ON_AWS: { "Fn::GetAtt": ["Thing", "Arn"] } },
        events: [{ sqs: { arn: { "Fn::GetAtt": ["WorkQueue", "Arn"] }, batchSize: 7, maximumConcurrency: 5 } }],
      },
      sweep: { name: "waybill-dev-sweep", events: [{ schedule: "rate(1 minute)" }] },
    },
  };
}

test("gives local values to what only AWS can resolve, and drops what has none", () => {
  const local = service();

  localiseEnvironment(local, { WORK_QUEUE_URL: "http://local/work", DATABASE_URL: "postgres://local/db" });

  const { environment } = local.provider;
  expect(environment).toMatchObject({ WORK_QUEUE_URL: expect.any(String), DATABASE_URL: expect.any(String) });
  expect(environment).not.toHaveProperty("DATABASE_SECRET_ARN");
  expect(local.functions["dispatch"]?.environment).toEqual({});
});

test("a variable of the one who starts it comes before every other value", () => {
  vi.stubEnv("LOG_LEVEL", "debug");
  const local = service();

  localiseEnvironment(local, {});

  expect(local.provider.environment).toMatchObject({ LOG_LEVEL: "debug" });
  vi.unstubAllEnvs();
});

test("reads which queue wakes which function, and how many batches at once are enough at a desk", () => {
  expect(queueEvents(service())).toEqual([
    { functionName: "waybill-dev-dispatch", resource: "WorkQueue", batchSize: 7, concurrency: 2 },
  ]);
});

test("takes the schedules out, so that nothing runs before the database is migrated", () => {
  const local = service();

  expect(takeSchedules(local)).toEqual(["waybill-dev-sweep"]);
  expect(local.functions["sweep"]?.events).toEqual([]);
});
