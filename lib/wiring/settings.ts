import { identitySettings } from "../access/identity/settings.ts";
import { signingSettings } from "../access/signing/settings.ts";
import { routerSettings, seriesSettings } from "../router/settings.ts";
import { agentQueueSettings, queueSettings } from "../runtime/aws/queue-settings.ts";
import { corsSettings } from "../runtime/http/cors.ts";
import { logSettings } from "../runtime/log.ts";
import { readSettings, type Settings, type Values } from "../runtime/settings.ts";
import { workSettings } from "../work/settings.ts";

/** Everything that the control plane is told by its environment, by room. */
export const rooms = {
  identity: identitySettings,
  signing: signingSettings,
  queues: queueSettings,
  agentQueues: agentQueueSettings,
  work: workSettings,
  router: routerSettings,
  series: seriesSettings,
  cors: corsSettings,
  log: logSettings,
};
export type PlaneSettings = { [Room in keyof typeof rooms]: Values<(typeof rooms)[Room]> };

/** The settings of each room, read with the room's first use: only then a ConfigError names what is wrong, in that room alone. */
export function planeSettingsOnDemand(source?: NodeJS.ProcessEnv): PlaneSettings {
  const onDemand = Object.entries(rooms).map(([room, settings]) => {
    let values: unknown;
    return [room, { enumerable: true, get: () => (values ??= readSettings<Settings>(settings, source)) }] as const;
  });
  return Object.defineProperties({}, Object.fromEntries(onDemand)) as PlaneSettings;
}

/** Reads the settings of all rooms at once. Throws a ConfigError that names every variable that is wrong. */
export function readPlaneSettings(source?: NodeJS.ProcessEnv): PlaneSettings {
  const all = Object.entries(rooms).flatMap(([room, settings]) =>
    Object.entries(settings).map(([name, setting]) => [`${room}.${name}`, setting] as const),
  );
  const values: Record<string, unknown> = readSettings(Object.fromEntries(all), source);
  const byRoom = Object.entries(rooms).map(([room, settings]) => {
    const own = Object.keys(settings).map((name) => [name, values[`${room}.${name}`]] as const);
    return [room, Object.fromEntries(own)] as const;
  });
  return Object.fromEntries(byRoom) as PlaneSettings;
}
