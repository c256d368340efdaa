import { keySource, namesIn, substitute } from "./references.ts";
import type { Capability, ConfigFault, ConfigFile, Surroundings } from "./schema.ts";

type Say = (path: PropertyKey[], message: string) => void;
type Checked = { faults: ConfigFault[]; warnings: ConfigFault[]; leftOut: Set<string> };

/**
 * Checks what the shape alone does not tell. `leftOut` are the optional providers whose key is not set; `broken` are entries
 * that exist and have a fault of their own already.
 */
export function checkConfig(
  file: ConfigFile,
  around: Surroundings,
  lineOf: (path: PropertyKey[]) => number,
  broken: ReadonlySet<string> = new Set(),
): Checked {
  const faults: ConfigFault[] = [];
  const warnings: ConfigFault[] = [];
  const say: Say = (path, message) => faults.push({ line: lineOf(path), message });
  const warn: Say = (path, message) => warnings.push({ line: lineOf(path), message });
  const leftOut = checkProviders(file, around, say, warn);
  checkModels(file, around, say, broken);
  checkChains(file, say, broken);
  if (faults.length === 0) warnOfEmptyChains(file, leftOut, warn);
  return { faults, warnings, leftOut };
}

function checkProviders(file: ConfigFile, around: Surroundings, say: Say, warn: Say): Set<string> {
  const leftOut = new Set<string>();
  for (const [name, provider] of Object.entries(file.providers)) {
    const { text, missing } = substitute(provider.base_url, around.env);
    if (missing.length > 0) say(["providers", name, "base_url"], `provider ${name}: ${missing.join(", ")} is not set`);
    else if (!/^https?:\/\/[^/\s]/.test(text) || !URL.canParse(text)) {
      const from = namesIn(provider.base_url);
      const given = from.length === 0 ? "" : ` (${from.join(", ")} makes it ${JSON.stringify(text)})`;
      say(["providers", name, "base_url"], `provider ${name}: base_url must begin with http:// or https://${given}`);
    }
    if (provider.key === undefined) {
      if (provider.type === "anthropic" && !provider.local) {
        say(["providers", name], `provider ${name} has no key: add key: \${secret:NAME} or \${env:NAME}`);
      }
      continue;
    }
    const source = keySource(provider.key, around, provider.local);
    if ("secret" in source) {
      around.onSecret?.(source.secret, provider.optional);
      const { reason } = around.unreadable?.get(source.secret) ?? {};
      const again = "it is read again with each call";
      if (reason !== undefined)
        warn(["providers", name, "key"], `provider ${name}: ${source.secret} cannot be read now (${reason}): ${again}`);
    }
    if (!("fault" in source)) continue;
    if (provider.optional && source.unset) {
      leftOut.add(name);
      warn(["providers", name, "key"], `provider ${name} is left out: ${source.fault}`);
    } else say(["providers", name, "key"], `provider ${name}: the key cannot be resolved: ${source.fault}`);
  }
  return leftOut;
}

function checkModels(file: ConfigFile, around: Surroundings, say: Say, broken: ReadonlySet<string>): void {
  for (const [name, model] of Object.entries(file.models)) {
    const provider = file.providers[model.provider];
    if (provider === undefined && !broken.has(model.provider)) {
      const known = Object.keys(file.providers).join(", ");
      say(["models", name, "provider"], `model ${name}: no provider is named ${model.provider} (there are: ${known})`);
    }
    if (name in file.chains) say(["models", name], `${name} is the name of a model and of a chain: rename one`);
    if (provider === undefined || model.price !== undefined) continue;
    if (provider.local || !around.priced({ id: model.id, provider: { ...provider, name: model.provider } })) {
      const todo = "add price: {input: …, output: …} in USD per million tokens, or price: 0";
      say(["models", name], `model ${name} has no price (the table does not know ${model.id}): ${todo}`);
    }
  }
}

function checkChains(file: ConfigFile, say: Say, broken: ReadonlySet<string>): void {
  for (const [name, chain] of Object.entries(file.chains)) {
    let sound = true;
    for (const [index, entry] of chain.models.entries()) {
      if (entry in file.models || entry in file.chains) continue;
      sound = false;
      if (broken.has(entry)) continue;
      say(
        ["chains", name, "models", index],
        `chain ${name} names ${entry}, which is not registered: add it under models`,
      );
    }
    const cycle = findCycle(file, name, []);
    if (cycle !== undefined)
      say(["chains", name, "models"], `chain ${name} leads back to itself: ${cycle.join(" → ")}`);
    const rule = chain.on.bad_request;
    if (rule !== undefined && rule !== "stop") {
      say(
        ["chains", name, "on", "bad_request"],
        `chain ${name}: a bad request goes to no other vendor, only stop is possible`,
      );
    }
    if (sound && cycle === undefined && reachable(file, name)) checkPromises(file, name, say);
  }
}

/** Whether everything below is registered and free of cycles, so that the chain can be made flat. */
function reachable(file: ConfigFile, name: string): boolean {
  const chain = file.chains[name];
  if (chain === undefined) return name in file.models;
  if (findCycle(file, name, []) !== undefined) return false;
  return chain.models.every((entry) => reachable(file, entry));
}

function findCycle(file: ConfigFile, name: string, above: string[]): string[] | undefined {
  const path = [...above, name];
  if (above.includes(name)) return above[0] === name ? path : undefined;
  for (const entry of file.chains[name]?.models ?? []) {
    const cycle = findCycle(file, entry, path);
    if (cycle !== undefined) return cycle;
  }
  return undefined;
}

function checkPromises(file: ConfigFile, name: string, say: Say): void {
  const chain = file.chains[name];
  const models = flatten(file, name).flatMap((model) => {
    const found = file.models[model];
    return found === undefined ? [] : [{ name: model, window: found.window, can: found.can }];
  });
  const first = models[0];
  if (chain === undefined || first === undefined) return;
  const window = chain.promises.window ?? first.window;
  const can: readonly Capability[] = chain.promises.can ?? first.can;
  for (const model of models) {
    const at = chain.models.indexOf(model.name);
    const path = ["chains", name, "models", ...(at < 0 ? [] : [at])];
    const todo = "take it out, or have the chain promise less (promises: {window, can})";
    if (model.window < window) {
      say(path, `chain ${name} promises a window of ${window} tokens, but ${model.name} has ${model.window}: ${todo}`);
    }
    const lacks = can.filter((capability) => !model.can.includes(capability));
    if (lacks.length > 0) say(path, `chain ${name} promises ${lacks.join(", ")}, which ${model.name} lacks: ${todo}`);
  }
}

function warnOfEmptyChains(file: ConfigFile, leftOut: Set<string>, warn: Say): void {
  for (const name of Object.keys(file.chains)) {
    const left = flatten(file, name).filter((model) => !leftOut.has(file.models[model]?.provider ?? ""));
    if (left.length === 0) warn(["chains", name], `chain ${name} has no model left`);
  }
}

/** The models of a chain in order, each once; a chain within it stands for its own. The names are known to be sound. */
export function flatten(file: Pick<ConfigFile, "chains">, name: string): string[] {
  const chain = file.chains[name];
  if (chain === undefined) return [name];
  return [...new Set(chain.models.flatMap((entry) => flatten(file, entry)))];
}
