import { LOCAL_REGION, startSqs } from "../../localstack/parts/sqs.ts";

/**
 * What `npm run test:sqs` sets up: nothing but the SQS API, at AWS_ENDPOINT_URL_SQS or AWS_ENDPOINT_URL, else an embedded one.
 * AWS itself is only asked where its endpoint is named, such as https://sqs.eu-central-1.amazonaws.com
 */
export default async function setup(): Promise<() => Promise<void>> {
  const named = process.env["AWS_ENDPOINT_URL_SQS"] ?? process.env["AWS_ENDPOINT_URL"];
  const embedded = named === undefined ? await startSqs({ port: 0 }) : undefined;
  if (embedded !== undefined) process.env["AWS_ENDPOINT_URL_SQS"] = embedded.endpoint;
  process.env["AWS_REGION"] ??= LOCAL_REGION;
  if (!named?.includes(".amazonaws.com")) {
    process.env["AWS_ACCESS_KEY_ID"] ??= "test";
    process.env["AWS_SECRET_ACCESS_KEY"] ??= "test";
  }
  return async () => await embedded?.stop();
}
