import { ROLES } from "../../lib/access/actor.ts";
import { may, type Need } from "../../lib/access/may.ts";
import { REFUSALS } from "../../lib/access/refusal.ts";
import { routes } from "../../lib/wiring/routes.ts";

/** The tables of docs/access.md: what each role and agents may, call by call, and why nobody is taken for the caller. */
export function accessTables(): string {
  const guarded = routes.flatMap(({ method, path, access }) => (access === "open" ? [] : [{ method, path, access }]));
  const open = routes
    .filter(({ access }) => access === "open")
    .map(
      ({ method, path, tells }) => `\`${method} ${path}\`${tells === undefined ? "" : " (with a key it tells more)"}`,
    );
  return [
    `| call | scope | ${ROLES.join(" | ")} | agent |`,
    `| --- | --- | ${ROLES.map(() => "---").join(" | ")} | --- |`,
    ...guarded.map(({ method, path, access }) => row(`\`${method} ${path}\``, access)),
    "",
    "Open to whoever knows the address:",
    "",
    ...open.map((call) => `- ${call}`),
    "",
    "| code | status | what is said |",
    "| --- | --- | --- |",
    ...Object.entries(REFUSALS).map(([code, [status, says]]) => `| \`${code}\` | ${status} | ${says} |`),
    "",
  ].join("\n");
}

function row(call: string, need: Need): string {
  const roles = ROLES.map((role) => mark(may({ role, scopes: null, agent: null }, need) === undefined));
  const agents = need.agents === "themselves" ? "itself" : mark(need.agents === "any");
  return `| ${call} | \`${need.scope}\` | ${roles.join(" | ")} | ${agents} |`;
}

function mark(isLet: boolean): string {
  return isLet ? "yes" : "–";
}
