import { stringify } from "yaml";

// The files of the deployment, and the names that the framework gives to what it makes.

/** A file of the deployment; `of` says what it is made of. */
export function yaml(title: string, of: string, content: object): string {
  const head = `# ${title} Made of ${of} by npm run generate; do not edit.\n`;
  // YAML 1.1, as the framework reads it: there 2012-10-17 without quotes is a date.
  return head + stringify(content, { version: "1.1", aliasDuplicateObjects: false, lineWidth: 0 });
}

/** As the framework names what belongs to a function: submit-work has SubmitDashworkLogGroup. */
export function ofFunction(name: string, what: "LogGroup" | "LambdaFunction" | "LambdaFunctionUrl"): string {
  const text = name.replaceAll("-", "Dash");
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${what}`;
}

/** As the framework names a route's resource: POST /work/{task_id}/approve is HttpApiRoutePostWorkTaskidVarApprove. */
export function ofRoute(method: string, path: string): string {
  const parts = path.split("/").filter(Boolean).map(word);
  return `HttpApiRoute${word(method.toLowerCase())}${parts.join("")}`;
}

function word(part: string): string {
  const name = part.startsWith("{") ? `${part.slice(1, -1)}Var` : part;
  // Of a part such as .well-known or openapi.json a hyphen is a word, what else is no letter or digit is left out, and what follows stays.
  const plain = name.replaceAll("-", "Dash").replaceAll(/[^A-Za-z0-9]/g, "");
  return plain.charAt(0).toUpperCase() + plain.slice(1);
}
