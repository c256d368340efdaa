import { GetObjectCommand, paginateListObjectsV2, S3Client } from "@aws-sdk/client-s3";
import type { Template } from "./changes.ts";
import type { Stack } from "./stack.ts";
import type { Target } from "./target.ts";

/** A deploy whose files the framework keeps: its time as the framework names it and as a person reads it. */
export type Kept = { timestamp: string; at: string; template: () => Promise<Template> };

/** The deploys whose files the framework keeps in its bucket, the oldest first; those that failed are among them. */
export async function keptDeploys(target: Target, { outputs }: Stack): Promise<Kept[]> {
  const Bucket = outputs["ServerlessDeploymentBucketName"];
  if (Bucket === undefined) return [];
  const client = new S3Client({ region: target.region, forcePathStyle: Boolean(process.env["AWS_ENDPOINT_URL"]) });
  const kept: Kept[] = [];
  for await (const { Contents = [] } of paginateListObjectsV2({ client }, { Bucket, Prefix: prefixOf(target) })) {
    for (const { Key = "" } of Contents) {
      const [, timestamp, at] = /\/(\d+)-([^/]+)\/compiled-cloudformation-template\.json$/.exec(Key) ?? [];
      if (timestamp === undefined || at === undefined) continue;
      const template = async () => {
        const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }));
        return JSON.parse((await Body?.transformToString()) ?? "{}") as Template;
      };
      kept.push({ timestamp, at, template });
    }
  }
  return kept.toSorted((a, b) => Number(a.timestamp) - Number(b.timestamp));
}

/** Whether the functions of a template that is deployed are those of the latest deploy that is kept: not after one that failed, nor going back. */
export async function isLatest(target: Target, stack: Stack, deployed: Template): Promise<boolean> {
  const latest = (await keptDeploys(target, stack)).at(-1);
  return latest !== undefined && isOf(target, latest.timestamp, deployed);
}

/** Whether the functions of a template that is deployed are those of the deploy of this timestamp. */
export function isOf(target: Target, timestamp: string, deployed: Template): boolean {
  return JSON.stringify(deployed).includes(`${prefixOf(target)}${timestamp}-`);
}

function prefixOf({ stage }: Target): string {
  return `serverless/waybill/${stage.name}/`;
}
