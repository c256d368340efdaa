import { existsSync } from "node:fs";
import { relative, resolve } from "node:path";
import { stop as stopBundler } from "esbuild";
import { readSettings } from "../../lib/runtime/settings.ts";
import { runningOver } from "../parts/data-dir.ts";
import { signingSecret } from "../parts/keys.ts";
import { localSettings } from "../parts/local-settings.ts";
import { LocalCloud, type OfflineServer, type Options, type Report } from "./local-cloud.ts";
import { BANNER } from "./own-process.ts";
import { localiseEnvironment, type Service } from "./serverless-service.ts";

type Serverless = {
  serviceDir: string;
  service: Service;
  processedInput: { commands: string[] };
  pluginManager: { plugins: object[] };
  classes: { Error: new (message: string, code: string) => Error };
};

/**
 * The local cloud around serverless-offline: `serverless offline` starts Postgres and SQS where the environment names none,
 * gives the functions local values for what only AWS can resolve, migrates through the migrate function, serves the HTTP API and
 * the function URL (serverless-offline keeps its Lambda API alone), feeds the queues to their functions and runs the schedules.
 * Its data is in .waybill/, or where WAYBILL_DATA says.
 */
export default class OfflinePlugin {
  readonly hooks: Record<string, () => Promise<void>>;
  readonly #serverless: Serverless;
  readonly #options: Options;
  #cloud: LocalCloud | undefined;

  constructor(serverless: Serverless, options: Options) {
    this.#serverless = serverless;
    this.#options = options;
    const before = () =>
      this.#guarded(async () => {
        // Its process would stay as long as this one, with some 600 MB.
        await stopBundler();
        await this.#cloud?.serve(this.#offlineServer());
      });
    const command = serverless.processedInput.commands.join(" ");
    const isOffline = command.startsWith("offline");
    if (isOffline) this.#bundleAside();
    const isLocalInvoke = command === "invoke local";
    if (isLocalInvoke) this.#bundleApart();
    this.hooks = {
      ...(isOffline ? { initialize: () => this.#guarded(async () => await this.#begin()) } : {}),
      // Not before:invoke:local:loadEnvVars: the framework reads the environment in its own hook of that name, before ours.
      ...(isLocalInvoke ? { initialize: async () => this.#localInvoke() } : {}),
      // Its process would keep this one from ending.
      "after:invoke:local:invoke": async () => await stopBundler(),
      "before:offline:start": before,
      "before:offline:start:init": before,
      "before:offline:start:end": async () => await this.#cloud?.stop(0),
    };
  }

  get #dataDir(): string {
    return resolve(this.#serverless.serviceDir, readSettings({ dataDir: localSettings.dataDir }).dataDir);
  }

  /** The bundler reads its options in its own `initialize`, which comes first: so this is the constructor's, and in place. */
  #bundleAside(): void {
    const { service, serviceDir } = this.#serverless;
    // The bundler, a program in Go, collects garbage sooner: it needs half the memory for a second more.
    process.env["GOGC"] ??= "30";
    Object.assign(service.custom?.["esbuild"] ?? {}, {
      minify: false,
      banner: { js: BANNER },
      // Beside the data, so that two stacks do not sweep away each other's functions.
      outputWorkFolder: relative(serviceDir, resolve(this.#dataDir, "build")),
      // Watching would bundle again and change nothing: a module that is loaded stays loaded in this process.
      watch: { pattern: [] },
    });
  }

  /** Away from what `serverless package` puts into the zips. */
  #bundleApart(): void {
    const { service, serviceDir } = this.#serverless;
    Object.assign(service.custom?.["esbuild"] ?? {}, {
      outputWorkFolder: relative(serviceDir, resolve(this.#dataDir, "invoke")),
    });
  }

  /** Before anything is bundled, so that Postgres starts meanwhile. */
  async #begin(): Promise<void> {
    const { service, serviceDir } = this.#serverless;
    this.#cloud = new LocalCloud({ service, dataDir: this.#dataDir, root: serviceDir, options: this.#options });
    await this.#cloud.checked;
  }

  #offlineServer(): OfflineServer {
    const found = this.#serverless.pluginManager.plugins.find(
      (plugin) => plugin.constructor.name === "ServerlessOffline",
    );
    if (found === undefined) throw new Error("serverless.yml must name the plugin serverless-offline.");
    return found as OfflineServer;
  }

  /** `serverless invoke local`: the running stack's services, or what the environment names. */
  #localInvoke(): void {
    const running = existsSync(this.#dataDir) ? runningOver(this.#dataDir) : undefined;
    // The function runs in the folder of its bundle.
    const MIGRATIONS_DIR = process.env["MIGRATIONS_DIR"] || resolve(this.#serverless.serviceDir, "migrations");
    const AGENTS_DIR = process.env["AGENTS_DIR"] || resolve(this.#serverless.serviceDir, "agents");
    const own = running === undefined ? {} : { ...running.environment, SIGNING_SECRET: signingSecret(this.#dataDir) };
    localiseEnvironment(this.#serverless.service, { ...own, MIGRATIONS_DIR, AGENTS_DIR });
  }

  async #guarded(run: () => Promise<void>): Promise<void> {
    try {
      await run();
    } catch (error) {
      const { message } = error as Error;
      process.send?.({ failed: message } satisfies Report);
      await this.#cloud?.abandon();
      throw new this.#serverless.classes.Error(message, "WAYBILL_LOCAL_STACK");
    }
  }
}
