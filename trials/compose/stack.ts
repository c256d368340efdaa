import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Failed } from "../../lib/terminal/command.ts";
import { freePort } from "../../localstack/parts/ports.ts";
import { ROOT } from "../../localstack/stack.ts";
import type { Api } from "./client.ts";
import { endRunning, type Ran, run } from "./engine.ts";

/** What the agents take their work from. */
export type Variant = "sqs" | "rabbitmq";

/** The images that Compose builds, by what follows the project's name. */
const IMAGES = ["functions", "agent", "bridge"];

const PORTS = [
  "HTTP_PORT",
  "LLM_STREAM_PORT",
  "POSTGRES_PORT",
  "LOCALSTACK_PORT",
  "RABBITMQ_PORT",
  "RABBITMQ_MANAGEMENT_PORT",
  "BRIDGE_PORT",
  "OLLAMA_PORT",
  "LITELLM_PORT",
];

/** What `docker inspect` says of a container, as far as it is looked at. */
export type Inspected = {
  Config: { User: string };
  State: { Status: string; ExitCode: number; Pid: number; OOMKilled: boolean; Health?: { Status: string } };
  RestartCount: number;
  HostConfig: {
    CapDrop: string[] | null;
    SecurityOpt: string[] | null;
    ReadonlyRootfs: boolean;
    Memory: number;
    PidsLimit: number | null;
    LogConfig: { Type: string; Config: Record<string, string> };
  };
};

/** The containers of one run: a Compose project of its own, on free ports, with an .env of its own. */
export class Stack {
  readonly project = "waybill-trial";
  readonly #folder = mkdtempSync(join(tmpdir(), "waybill-compose-"));
  readonly #settings: Map<string, string>;
  #key = "";
  #variant: Variant = "sqs";
  #closed = false;

  private constructor(ports: [string, string][]) {
    this.#settings = new Map(ports);
    this.set({});
  }

  /** Throws where containers of an earlier run are still there. */
  static async make(): Promise<Stack> {
    const ports = await Promise.all(PORTS.map(async (name) => [name, String(await freePort())] as [string, string]));
    const stack = new Stack(ports);
    const { out } = await run("docker", ["ps", "-aq", "--filter", `label=com.docker.compose.project=${stack.project}`]);
    if (out.trim() !== "") {
      throw new Failed(
        `Containers of another run are there. Once it is over, remove them: docker compose -p ${stack.project} down --volumes`,
      );
    }
    return stack;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#settings.get("HTTP_PORT")}`;
  }

  /** The HTTP API, with the owner's key of the last `up`. */
  get api(): Api {
    return { url: this.url, key: this.#key };
  }

  get sqsUrl(): string {
    return `http://127.0.0.1:${this.#settings.get("LOCALSTACK_PORT")}`;
  }

  get variant(): Variant {
    return this.#variant;
  }

  /** Changes the .env; an undefined one goes. It takes effect with the next `up`. */
  set(settings: Record<string, string | undefined>): void {
    for (const [name, value] of Object.entries(settings)) {
      if (value === undefined) this.#settings.delete(name);
      else this.#settings.set(name, value);
    }
    const text = [...this.#settings].map(([name, value]) => `${name}=${value}\n`).join("");
    writeFileSync(join(this.#folder, ".env"), text);
  }

  /** `docker compose …` of this project, whatever becomes of it. Throws once the stack is being removed. */
  async try(...args: string[]): Promise<Ran> {
    if (this.#closed) throw new Error("The stack is being removed.");
    return await this.#docker(args);
  }

  async #docker(args: string[]): Promise<Ran> {
    const files = ["docker-compose.yml", ...(this.#variant === "rabbitmq" ? ["docker-compose.rabbitmq.yml"] : [])];
    const named = files.flatMap((file) => ["-f", join(ROOT, file)]);
    const all = ["compose", "-p", this.project, "--env-file", join(this.#folder, ".env"), ...named, ...args];
    return await run("docker", all, { cwd: ROOT, env: cleanEnvironment() });
  }

  /** The same; throws with its last lines where it fails. Answers what it said. */
  async compose(...args: string[]): Promise<string> {
    const { code, out } = await this.try(...args);
    if (code === 0) return out;
    const last = out.trimEnd().split("\n").slice(-15).join("\n");
    throw new Error(`docker compose ${args.join(" ")} ended with ${code}:\n${last}`);
  }

  async up(variant: Variant = this.#variant): Promise<void> {
    this.#variant = variant;
    await this.compose("up", "--wait", "--wait-timeout", "600");
    this.#key = (await this.exec("functions", "cat", ".waybill/key")).trim();
  }

  /** The services that have a container. */
  async services(): Promise<string[]> {
    return lines(await this.compose("ps", "--all", "--format", "{{.Service}}"));
  }

  async inspect(service: string): Promise<Inspected> {
    const { out } = await run("docker", ["inspect", await this.idOf(service)]);
    return (JSON.parse(out) as [Inspected])[0];
  }

  async idOf(service: string): Promise<string> {
    const [id] = lines(await this.compose("ps", "--all", "--quiet", service));
    if (id === undefined) throw new Error(`The service ${service} has no container.`);
    return id;
  }

  /** Runs a program in a service's container and answers what it said. */
  async exec(service: string, ...command: string[]): Promise<string> {
    return await this.compose("exec", "--no-TTY", service, ...command);
  }

  /**
   * Kills a service's program as the kernel does when memory is short. Not by `docker kill`: that counts as a stop, after which
   * nothing starts it again; and in its own container the first process cannot be killed.
   */
  async kill(service: string): Promise<void> {
    const { State } = await this.inspect(service);
    const asRoot = "run --rm --pid=host --user=0 --cap-drop=ALL --cap-add=KILL --network=none --entrypoint=sh".split(
      " ",
    );
    const shell = [`${this.project}-functions`, "-c", `kill -9 ${State.Pid}`];
    const { code, out } = await run("docker", [...asRoot, ...shell]);
    if (code !== 0) throw new Error(`${service} could not be killed: ${out}`);
  }

  /** Removes the containers, networks, volumes and images of this run. */
  async remove(): Promise<void> {
    this.#closed = true;
    await endRunning();
    await this.#docker(["--profile", "*", "down", "--volumes", "--remove-orphans", "--timeout", "5"]);
    await run("docker", ["image", "rm", "--force", ...IMAGES.map((image) => `${this.project}-${image}`)]);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** What of this project is still there: containers, volumes and networks. */
  async left(): Promise<string[]> {
    const label = ["--filter", `label=com.docker.compose.project=${this.project}`];
    const asked = [
      ["ps", "-a", "--format", "container {{.Names}}"],
      ["volume", "ls", "--format", "volume {{.Name}}"],
      ["network", "ls", "--format", "network {{.Name}}"],
    ].map(async (args) => lines((await run("docker", [...args, ...label])).out));
    return (await Promise.all(asked)).flat();
  }
}

function lines(text: string): string[] {
  return text.split("\n").filter((line) => line !== "");
}

/** Without what would come before the run's own .env. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const example = readFileSync(join(ROOT, ".env.example"), "utf8");
  const names = new Set([...example.matchAll(/^#(\w+)=/gm)].map(([, name]) => name));
  const kept = Object.entries(process.env).filter(([name]) => !names.has(name) && !name.startsWith("COMPOSE_"));
  return Object.fromEntries(kept);
}
