import { departures, readStage } from "./stage.ts";

type Serverless = {
  service: { provider: { compiledCloudFormationTemplate?: { Metadata?: Record<string, unknown> } } };
  processedInput: { commands: string[]; options: { stage?: string; param?: string[] } };
  classes: { Error: new (message: string, code: string) => Error };
  getProvider: (name: "aws") => { getStage: () => string };
};

/**
 * Holds the stage's file and the command line's parameters to what can be set, whoever packages or deploys; and writes into the template
 * what was said of the stage, so that the next deploy can tell what it would forget.
 */
export default class StagePlugin {
  readonly hooks: Record<string, () => void>;

  constructor(serverless: Serverless) {
    const read = () => {
      const { param = [] } = serverless.processedInput.options;
      try {
        return readStage(serverless.getProvider("aws").getStage(), param);
      } catch (error) {
        throw new serverless.classes.Error((error as Error).message, "WAYBILL_STAGE");
      }
    };
    this.hooks = {
      initialize: () => void read(),
      "before:package:finalize": () => {
        const template = serverless.service.provider.compiledCloudFormationTemplate;
        if (template === undefined) return;
        template.Metadata = { ...template.Metadata, Waybill: { parameters: departures(read()) } };
      },
    };
  }
}
