import type * as z from "zod";
import type { Actor } from "../access/actor.ts";
import { CallerError } from "../errors.ts";
import { chainNamed, chainOf } from "./ask.ts";
import type { GatewayDeps } from "./attempt/call.ts";
import { costOf } from "./config/prices.ts";
import type { Capability, Chain, Config } from "./config/schema.ts";
import type { explainRoute } from "./routes.ts";
import { plan } from "./routing/rules.ts";

type Wish = z.infer<(typeof explainRoute)["body"]>;

/** The chain that would be tried now, with what each may cost and why others are left out. Calls nobody. */
export function explain(
  deps: Pick<GatewayDeps, "config" | "health" | "now">,
  _actor: Actor,
  wish: Wish,
  external: boolean,
) {
  const { config } = deps;
  const chain: Chain | undefined =
    wish.model === undefined ? chainOf("all", [...config.models.values()]) : chainNamed(config, wish.model);
  if (chain === undefined)
    throw new CallerError(404, "model_not_found", `No model or chain is named ${wish.model}. See GET /llm/v1/models.`);
  const can = (["tools", "json_schema", "vision", "embeddings"] satisfies Capability[]).filter((one) => wish[one]);
  const tokens = { input: wish.input_tokens, output: wish.output_tokens, cacheRead: 0, cacheWrite: 0, reasoning: 0 };
  const { tries, skipped } = plan(
    chain.models,
    {
      can,
      tokens: wish.input_tokens,
      localOnly: wish.privacy === "local-only",
      ...(wish.min_window === undefined ? {} : { minWindow: wish.min_window }),
      ...(wish.max_cost_usd === undefined ? {} : { maxUsd: wish.max_cost_usd }),
    },
    {
      health: deps.health.of,
      external: config.external && external,
      usd: (model) => Number(costOf(model, tokens).usd ?? Number.POSITIVE_INFINITY),
      now: deps.now(),
    },
  );
  return {
    chain: wish.model ?? null,
    tries: tries.map(({ model, probe }) => ({
      model: model.name,
      id: model.id,
      provider: model.provider.name,
      local: model.provider.local,
      window: model.window,
      can: model.can,
      cost_usd: costOf(model, tokens).usd,
      probe,
    })),
    skipped: skipped.map(({ model, reason }) => ({ model: model.name, reason })),
  };
}

/** Every name that can be asked, as OpenAI lists models. */
export function listed(config: Config, _actor: Actor) {
  const chains = [...config.chains.keys()].map((name) => entry(name, "waybill"));
  const models = [...config.models.values()].map(({ name, provider }) => entry(name, provider.name));
  return { object: "list", data: [...chains, ...models] };
}

function entry(id: string, owned_by: string) {
  return { id, object: "model", created: 0, owned_by };
}
