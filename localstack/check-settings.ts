import { readFileSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { codeAgentSettings, readCodeEnv } from "../agents/code/env.ts";
import { agentSettings } from "../lib/agent-kit/transports/env.ts";
import { describeIssue } from "../lib/input/faults.ts";
import { parseConfig } from "../lib/llm/config/config.ts";
import { priced } from "../lib/llm/config/prices.ts";
import { migrationSettings } from "../lib/migrations/migrator.ts";
import { databaseSettings } from "../lib/runtime/postgres/db.ts";
import { readSettings, type Setting, type Settings } from "../lib/runtime/settings.ts";
import { shippedAgentsSettings } from "../lib/wiring/database.ts";
import { llmSettings } from "../lib/wiring/llm.ts";
import { rooms } from "../lib/wiring/settings.ts";
import { bridgeSettings } from "./bridge/settings.ts";
import { localSettings } from "./parts/local-settings.ts";

/** All that the functions, the agents that ship, the bridge and the stack itself read. */
const ALL: readonly Settings[] = [
  databaseSettings,
  migrationSettings,
  shippedAgentsSettings,
  ...Object.values(rooms),
  llmSettings,
  agentSettings,
  codeAgentSettings,
  bridgeSettings,
  localSettings,
];

/**
 * What is wrong with the settings of a stack that is to start: a line or two each, with what the variable takes, what it is, and the
 * command that mends it; empty where nothing is. What is not set is right: it has a default, or the stack sets it. Files are
 * looked for from `root`.
 */
export function wrongSettings(root: string, environment: NodeJS.ProcessEnv = process.env): string[] {
  const told = new Map<string, string>();
  for (const setting of ALL.flatMap((settings) => Object.values(settings))) {
    const fault = faultOf(setting, environment);
    if (fault !== undefined && !told.has(setting.env)) told.set(setting.env, fault);
  }
  return [
    ...told.values(),
    ...wrongPresence(environment),
    ...wrongFolders(root, environment),
    ...wrongCodeRules(environment),
    ...wrongLlmConfig(root, environment),
  ];
}

function faultOf(setting: Setting<unknown>, environment: NodeJS.ProcessEnv): string | undefined {
  const value = environment[setting.env];
  if (value === undefined || value === "") return undefined;
  const read = setting.schema.safeParse(value, { error: describeIssue });
  const [issue] = read.error?.issues ?? [];
  if (issue === undefined) return undefined;
  const place = issue.path.length === 0 ? "" : `${issue.path.join(".")} `;
  return wrong(setting, value, `${place}${issue.message}`);
}

/** A sentence about a variable, and the command that takes it away again. */
function wrong({ env, default: fallback }: Setting<unknown>, value: string, must: string): string {
  const then = fallback ? `   # then it is ${fallback}` : "";
  const told = env.endsWith("_KEY") ? "something else" : shown(value);
  return `${env} ${must}; it is ${told}\n    unset ${env}${then}`;
}

/** A value as it may be printed: no password of a URL, no end of a long one. */
function shown(value: string): string {
  const open = value.replace(/\/\/[^/@]*@/, "//…@");
  return JSON.stringify(open.length > 80 ? `${open.slice(0, 80)}…` : open);
}

/** An agent that is told to speak less often than it may be silent; a default of either is nobody's mistake. */
function wrongPresence(environment: NodeJS.ProcessEnv): string[] {
  const [every, silent] = [agentSettings.presenceSeconds, rooms.router.presenceSeconds];
  if ((faultOf(every, environment) ?? faultOf(silent, environment)) !== undefined) return [];
  const [said, most] = [environment[every.env], environment[silent.env]];
  if (!said || !most || Number(most) === 0 || Number(said) < Number(most)) return [];
  return [wrong(every, said, `must be below ${silent.env}, which is ${most}`)];
}

function wrongFolders(root: string, environment: NodeJS.ProcessEnv): string[] {
  return [migrationSettings.folder, shippedAgentsSettings.folder].flatMap((setting) => {
    const { folder } = readSettings({ folder: setting }, environment);
    const isThere = statSync(resolve(root, folder), { throwIfNoEntry: false })?.isDirectory() === true;
    return isThere ? [] : [wrong(setting, folder, "must be a folder")];
  });
}

/** Commands and folders that are none, which the agent `code` looks at when it starts. */
function wrongCodeRules(environment: NodeJS.ProcessEnv): string[] {
  return [codeAgentSettings.commands.env, codeAgentSettings.folders.env].flatMap((env) => {
    try {
      readCodeEnv({ [env]: environment[env] });
      return [];
    } catch (error) {
      return [`${(error as Error).message}\n    unset ${env}`];
    }
  });
}

/** As the gateway will read it, whose every call would be refused otherwise. */
function wrongLlmConfig(root: string, environment: NodeJS.ProcessEnv): string[] {
  const { config: path } = readSettings(llmSettings, environment);
  let text: string;
  try {
    text = readFileSync(resolve(root, path), "utf8");
  } catch (error) {
    return [wrong(llmSettings.config, path, `must be a file that can be read (${(error as Error).message})`)];
  }
  const secrets = Boolean(environment["AWS_ENDPOINT_URL_SECRETS_MANAGER"]);
  const parsed = parseConfig(text, { env: environment, secrets, priced });
  if (parsed.ok) return [];
  return parsed.faults.map(({ line, message }) => `${path}:${line}  ${message}\n    npm run llm:check -- ${path}`);
}
