import * as z from "zod";
import { ConfigError } from "../lib/errors.ts";
import { readEnv } from "../lib/runtime/env.ts";
import { derived } from "./derived.ts";
import { type Ssm, templateWithTexts } from "./ssm.ts";
import { departures, readStage, textOf } from "./stage.ts";

/** The variable by which the deploy command says what it has read of SSM, as JSON. */
export const SSM_VARIABLE = "WAYBILL_SSM";

const variables = z.object({ [SSM_VARIABLE]: z.string().default("{}") });

/** What the framework tells a source of variables, as far as ours asks. */
type Asked = { address: string; resolveVariable: (variable: string) => Promise<unknown> };

type Serverless = {
  service: { provider: { compiledCloudFormationTemplate?: { Metadata?: Record<string, unknown> } } };
  processedInput: { commands: string[]; options: { stage?: string; param?: string[] } };
  classes: { Error: new (message: string, code: string) => Error };
  getProvider: (name: "aws") => { getStage: () => string };
};

/**
 * Holds the stage's file and the command line's parameters to what can be set, whoever packages or deploys; and writes into the template
 * what was said of the stage, so that the next deploy can tell what it would forget, and what the deploy command has read of SSM.
 */
export default class StagePlugin {
  readonly hooks: Record<string, () => void>;
  /** `${derived:NAME}`: see deploy/derived.ts. */
  readonly configurationVariablesSources: { derived: { resolve: (asked: Asked) => Promise<{ value: unknown }> } };

  constructor(serverless: Serverless) {
    /** The framework's own error, which it tells without a stack. */
    const wrong = (error: unknown) => new serverless.classes.Error((error as Error).message, "WAYBILL_STAGE");
    const read = () => {
      const { param = [] } = serverless.processedInput.options;
      try {
        return readStage(serverless.getProvider("aws").getStage(), param);
      } catch (error) {
        throw wrong(error);
      }
    };
    const resolve = async (asked: Asked) =>
      await resolveDerived(asked).catch((error: unknown) => Promise.reject(wrong(error)));
    this.configurationVariablesSources = { derived: { resolve } };
    this.hooks = {
      initialize: () => void read(),
      // When all of it is there, and nothing of it written yet.
      "before:aws:package:finalize:saveServiceState": () => {
        const { provider } = serverless.service;
        const { compiledCloudFormationTemplate: template } = provider;
        if (template === undefined) return;
        const ssm = JSON.parse(readEnv(variables)[SSM_VARIABLE]) as Ssm;
        const Waybill = { parameters: departures(read()), ssm };
        provider.compiledCloudFormationTemplate = {
          ...templateWithTexts(template, ssm),
          Metadata: { ...template.Metadata, Waybill },
        };
      },
    };
  }
}

/** What is given of a deployment beside its parameters. */
const VARIABLES: Record<string, string> = { stage: "sls:stage", endpoint: 'env:AWS_ENDPOINT_URL, ""' };

async function resolveDerived({ address, resolveVariable }: Asked): Promise<{ value: unknown }> {
  const make = derived[address];
  if (make === undefined) throw new ConfigError(`deploy/derived.ts has no ${address}.`);
  const given = async (name: string) => {
    const value = await resolveVariable(VARIABLES[name] ?? `param:${name}, ""`);
    return textOf(value) ?? "";
  };
  return { value: await make(given) };
}
