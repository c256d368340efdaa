import type { RequestListener } from "node:http";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { isLatest, isOf, keptDeploys } from "../../bin/deploy/kept.ts";
import type { Target } from "../../bin/deploy/target.ts";
import { readStage } from "../../deploy/stage.ts";
import { type Aws, startAws } from "./aws.ts";

const FOLDER = "serverless/waybill/prod";
const DEPLOYS = ["1764500000000-2025-11-30T10:53:20.000Z", "1764510000000-2025-11-30T13:40:00.000Z"];
/** The bucket, in pages of one object. */
const KEYS = [
  `${FOLDER}/${DEPLOYS[1]}/compiled-cloudformation-template.json`,
  `${FOLDER}/${DEPLOYS[1]}/sweep.zip`,
  `${FOLDER}/${DEPLOYS[0]}/compiled-cloudformation-template.json`,
];
const target: Target = { stage: readStage("prod"), region: "eu-central-1", params: [] };
const stack = {
  name: "waybill-prod",
  status: "UPDATE_COMPLETE",
  updated: 0,
  protected: false,
  outputs: { ServerlessDeploymentBucketName: "kept" },
};

const list: RequestListener = (request, response) => {
  const { searchParams } = new URL(request.url ?? "", "http://s3.example");
  const at = Number(searchParams.get("continuation-token") ?? 0);
  const more = at + 1 < KEYS.length;
  const next = more ? `<NextContinuationToken>${at + 1}</NextContinuationToken>` : "";
  response.setHeader("content-type", "application/xml");
  response.end(
    `<ListBucketResult><IsTruncated>${more}</IsTruncated>${next}<Contents><Key>${KEYS[at]}</Key></Contents></ListBucketResult>`,
  );
};
let aws: Aws;
beforeAll(async () => {
  aws = await startAws(list);
  for (const [name, value] of Object.entries(aws.env)) vi.stubEnv(name, value);
});
afterAll(() => {
  vi.unstubAllEnvs();
  aws.stop();
});

test("the deploys that are kept are those of every page of the bucket, the oldest first", async () => {
  const kept = await keptDeploys(target, stack);

  expect(kept.map(({ timestamp, at }) => `${timestamp}-${at}`)).toEqual(DEPLOYS);
});

test("a stack whose bucket was never made keeps no deploy", async () => {
  expect(await keptDeploys(target, { ...stack, outputs: {} })).toEqual([]);
});

test.each([
  ["of the latest deploy", DEPLOYS[1], true],
  ["of the one before, since a rollback or a deploy that failed", DEPLOYS[0], false],
  ["of one that is kept no more", "1764400000000-2025-11-29T07:06:40.000Z", false],
])("functions %s: %s", async (_of, deploy, latest) => {
  const Properties = { Code: { S3Key: `${FOLDER}/${deploy}/sweep.zip` } };
  const template = { Resources: { SweepLambdaFunction: { Type: "AWS::Lambda::Function", Properties } } };

  expect(await isLatest(target, stack, template)).toBe(latest);
});

test("the deploy whose functions are deployed is told from the others", () => {
  const Properties = { Code: { S3Key: `${FOLDER}/${DEPLOYS[0]}/sweep.zip` } };
  const template = { Resources: { SweepLambdaFunction: { Type: "AWS::Lambda::Function", Properties } } };

  expect(isOf(target, "1764500000000", template)).toBe(true);
  expect(isOf(target, "1764510000000", template)).toBe(false);
});
