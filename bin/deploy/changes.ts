import { isDeepStrictEqual } from "node:util";

/** Of a CloudFormation template what a deploy compares. */
export type Template = {
  Resources?: Record<string, Resource>;
  Metadata?: { Waybill?: { parameters?: Record<string, string>; ssm?: Record<string, string> } };
};
type Resource = { Type: string; Properties?: Record<string, unknown> };

/** What a deploy changes, by the names of the template. */
export type Changes = {
  parameters: { name: string; from: string | undefined; to: string | undefined }[];
  added: { name: string; type: string }[];
  removed: { name: string; type: string }[];
  /** With the properties that become others. */
  changed: { name: string; type: string; properties: string[] }[];
  /** The queues that go, and with them what lies in them: their names on SQS. */
  queuesLost: string[];
};

/** What is in a template because of when it was packaged, and says nothing of what it does. */
const OF_PACKAGING: Record<string, string[]> = { "AWS::Lambda::Function": ["Code"] };

/** What differs between the template that is deployed and the one that would be. */
export function changesBetween(before: Template, after: Template): Changes {
  const [old, now] = [before.Resources ?? {}, after.Resources ?? {}];
  const both = Object.entries(now).flatMap(([name, resource]) => {
    const was = old[name];
    return was === undefined ? [] : [{ name, was, resource }];
  });
  return {
    parameters: [
      ...changedParameters(parametersIn(before), parametersIn(after)),
      ...changedParameters(ssmIn(before), ssmIn(after)).filter(({ from, to }) => from && to),
    ],
    added: without(now, old),
    removed: without(old, now),
    changed: both
      .map(({ name, was, resource }) => ({ name, type: resource.Type, properties: changedProperties(was, resource) }))
      .filter(({ properties }) => properties.length > 0),
    queuesLost: [
      ...Object.entries(old).flatMap(([name, resource]) => (name in now ? [] : queueIn(resource))),
      ...both.flatMap(({ was, resource }) => (isDeepStrictEqual(queueIn(was), queueIn(resource)) ? [] : queueIn(was))),
    ],
  };
}

/** What was said of the deployed stage and is neither said again nor taken back: what a deploy would forget. */
export function forgotten(before: Template, said: Readonly<Record<string, string>>): { name: string; value: string }[] {
  return Object.entries(parametersIn(before))
    .filter(([name]) => !Object.hasOwn(said, name))
    .map(([name, value]) => ({ name, value }));
}

/** The changes as lines for a person, what is alike in one; empty where there is none but the functions' code. */
export function tellChanges({ parameters, added, removed, changed }: Changes): string[] {
  return [
    ...parameters.map(({ name, from, to }) => `  ${name}: ${from ?? "the default"} → ${to ?? "the default"}`),
    ...together(
      "+",
      added.map(({ name, type }) => ({ name, what: type })),
    ),
    ...together(
      "-",
      removed.map(({ name, type }) => ({ name, what: type })),
    ),
    ...together(
      "~",
      changed.map(({ name, type, properties }) => ({ name, what: `${type}  ${properties.join(", ")}` })),
    ),
  ];
}

/** More of a kind than this are counted instead of named. */
const FEW = 3;

function together(sign: string, all: readonly { name: string; what: string }[]): string[] {
  return [...Map.groupBy(all, ({ what }) => what)].map(([what, alike]) => {
    const names = alike.length > FEW ? `${alike.length} ×` : alike.map(({ name }) => name).join(", ");
    return `  ${sign} ${names}  ${what}`;
  });
}

function parametersIn(template: Template): Record<string, string> {
  return template.Metadata?.Waybill?.parameters ?? {};
}

/** What the SSM parameters held that a template was made with. */
function ssmIn(template: Template): Record<string, string> {
  return template.Metadata?.Waybill?.ssm ?? {};
}

function changedParameters(before: Record<string, string>, after: Record<string, string>): Changes["parameters"] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return names
    .filter((name) => before[name] !== after[name])
    .map((name) => ({ name, from: before[name], to: after[name] }));
}

function without(these: Record<string, Resource>, those: Record<string, Resource>): { name: string; type: string }[] {
  return Object.entries(these).flatMap(([name, { Type }]) => (name in those ? [] : [{ name, type: Type }]));
}

function changedProperties(was: Resource, is: Resource): string[] {
  const ignored = OF_PACKAGING[is.Type] ?? [];
  const names = new Set([...Object.keys(was.Properties ?? {}), ...Object.keys(is.Properties ?? {})]);
  return [...names].filter(
    (name) => !ignored.includes(name) && !isDeepStrictEqual(was.Properties?.[name], is.Properties?.[name]),
  );
}

/** The name of a queue on SQS; nothing where it is none, or a dead letter queue of the framework without a name. */
function queueIn({ Type, Properties }: Resource): string[] {
  const name = Properties?.["QueueName"];
  return Type === "AWS::SQS::Queue" && typeof name === "string" ? [name] : [];
}
