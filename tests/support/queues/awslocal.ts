// Stands in for `awslocal`, the AWS CLI of LocalStack's image: the few forms that localstack/init/queues.sh uses, over HTTP to
// AWS_ENDPOINT_URL_SQS. What it does not know, or the API refuses, ends it with code 1.
import { parseArgs } from "node:util";

const text = { type: "string" } as const;

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    "queue-name": text,
    attributes: text,
    "queue-url": text,
    "attribute-names": text,
    query: text,
    output: text,
  },
});
const [service, verb = ""] = positionals;
const { query, output, ...parameters } = values;
if (service !== "sqs") throw new Error(`awslocal does not know ${service}`);

const pascal = (name: string) => name.replaceAll(/(?:^|-)(\w)/g, (_, first: string) => first.toUpperCase());
const body = Object.fromEntries(
  Object.entries(parameters).map(([name, value]) => {
    if (name === "attributes") return [pascal(name), JSON.parse(value) as unknown];
    return [pascal(name), name === "attribute-names" ? [value] : value];
  }),
);

const answer = await fetch(process.env["AWS_ENDPOINT_URL_SQS"] ?? "", {
  method: "POST",
  headers: { "content-type": "application/x-amz-json-1.0", "x-amz-target": `AmazonSQS.${pascal(verb)}` },
  body: JSON.stringify(body),
});
const said = await answer.text();
if (!answer.ok) throw new Error(`${verb}: ${answer.status} ${said}`);
if (query === undefined || output !== "text") process.stdout.write(`${said}\n`);
else {
  const found = query.split(".").reduce<unknown>((at, key) => (at as Record<string, unknown>)[key], JSON.parse(said));
  process.stdout.write(`${String(found)}\n`);
}
