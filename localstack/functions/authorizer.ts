// What stands before the functions, as API Gateway has it: a Lambda authorizer with simple answers, kept by the identity source,
// https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-lambda-authorizer.html
import type { IncomingMessage } from "node:http";
import type { APIGatewayProxyEventV2 } from "aws-lambda";
import { LRUCache } from "lru-cache";
import { CallerError } from "../../lib/errors.ts";
import { GATEWAY_MS } from "../../lib/runtime/http/lambda.ts";
import type { LocalFunctions } from "./local-functions.ts";

/** What a function is told of its caller: what the authorizer has put into its context. */
export type Context = Record<string, unknown>;

/** What an authorizer with simple responses answers. */
type Simple = { isAuthorized?: unknown; context?: Context };

/** Asks the authorizer who calls. Throws a 401 where nobody says so, and a 403 where the authorizer lets nobody in. */
export type Authorize = (request: IncomingMessage, event: APIGatewayProxyEventV2) => Promise<Context>;

type Options = {
  /** The function's key in serverless.yml. */
  functionKey: string;
  /** What whoever sends no key is told to do. */
  help: string;
};

/** Answers that are kept, and for how long: less than on AWS, so that a key that was revoked is seen to be. */
const KEPT = { max: 1000, ttl: 2000 };

/** The authorizer of these routes, with the header Authorization as its identity source. */
export function authorizer(functions: Pick<LocalFunctions, "invoke">, options: Options): Authorize {
  const { functionKey, help } = options;
  const kept = new LRUCache<string, Simple>(KEPT);
  return async ({ headers }, event) => {
    const identity = headers.authorization;
    if (identity === undefined || identity === "") throw noKey(help);
    const answer = kept.get(identity) ?? (await ask(functions, functionKey, identity, event));
    kept.set(identity, answer);
    if (answer.isAuthorized === true) return answer.context ?? {};
    throw new CallerError(403, "forbidden", "The authorizer lets this caller in nowhere.");
  };
}

async function ask(
  functions: Pick<LocalFunctions, "invoke">,
  functionKey: string,
  identity: string,
  event: APIGatewayProxyEventV2,
): Promise<Simple> {
  const { body: _, isBase64Encoded: __, ...rest } = event;
  const asked = { ...rest, type: "REQUEST", routeArn: arnOf(event), identitySource: [identity] };
  return (await functions.invoke(functionKey, asked, GATEWAY_MS)) as Simple;
}

function arnOf({ requestContext: { accountId, apiId, stage, http } }: APIGatewayProxyEventV2): string {
  return `arn:aws:execute-api:local:${accountId}:${apiId}/${stage}/${http.method}${http.path}`;
}

function noKey(help: string): CallerError {
  const headers = { "www-authenticate": "Bearer" };
  return new CallerError(401, "credentials_missing", `This call takes a key. ${help}`, { headers });
}
