/**
 * What a shell may hold for other programs: accounts and endpoints of AWS, defaults of Postgres clients, proxies, options of Node,
 * and all that npm tells its scripts. In a local stack it would sign, turn away or break calls that stay on this machine.
 */
const OF_THE_SHELL = /^(AWS_\w+|PG[A-Z_]+|DATABASE_SECRET_ARN|SIGNING_SECRET_ARN|NODE_OPTIONS|NODE_USE_ENV_PROXY)$/;
const PROXY = /^(https?|all|ftp|no)_proxy$/i;
const OF_NPM = /^npm_/i;

/**
 * Takes it out of the environment of this process, and so of all that it starts. Answers the names, sorted, without those that npm
 * sets by itself.
 */
export function leaveShell(environment: NodeJS.ProcessEnv = process.env): string[] {
  const names = Object.keys(environment).filter(
    (name) => OF_THE_SHELL.test(name) || (PROXY.test(name) && environment[name] !== "*") || OF_NPM.test(name),
  );
  for (const name of names) delete environment[name];
  // A process that runs with proxies already keeps them, but looks at this with each call.
  for (const name of ["NO_PROXY", "no_proxy"]) environment[name] = "*";
  return names.filter((name) => !OF_NPM.test(name)).toSorted();
}
