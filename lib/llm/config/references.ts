import type { Surroundings } from "./schema.ts";

/**
 * `${env:NAME}`, `${env:NAME:-otherwise}`, `${secret:NAME}`, and the first of two that is there: `${env:NAME|secret:NAME}`; `$stage` in
 * the name of a secret is the stage.
 */
const REFERENCE = /\$\{([^}]*)\}/g;
const PART = /^(env|secret):([^|:]+(?::(?!-)[^|:]+)*)(?::-(.*))?$/;

/** Where a key comes from. */
export type KeySource = { secret: string } | { value: string };

/** Puts environment variables into a text; `missing` names those that are not set. */
export function substitute(text: string, env: Record<string, string | undefined>): { text: string; missing: string[] } {
  const missing: string[] = [];
  const filled = text.replace(REFERENCE, (whole, inner: string) => {
    const [, kind, name = "", otherwise] = PART.exec(inner) ?? [];
    if (kind !== "env") {
      missing.push(whole);
      return whole;
    }
    const value = env[name] || otherwise;
    if (value === undefined) missing.push(name);
    return value ?? "";
  });
  return { text: filled, missing };
}

/** The variables of the environment that a text refers to. */
export function namesIn(text: string): string[] {
  return [...text.matchAll(REFERENCE)].flatMap(([, inner = ""]) => {
    const [, kind, name = ""] = PART.exec(inner) ?? [];
    return kind === "env" ? [name] : [];
  });
}

/** The secrets that a text refers to, by the names that they have at a stage, each once. */
export function secretsIn(text: string, stage: string): string[] {
  const parts = [...text.matchAll(REFERENCE)].flatMap(([, inner = ""]) => inner.split("|"));
  const named = parts.flatMap((part) => {
    const [, kind, name = ""] = PART.exec(part.trim()) ?? [];
    return kind === "secret" ? [secretName(name, stage)] : [];
  });
  return [...new Set(named)];
}

function secretName(given: string, stage: string): string {
  return given.replaceAll("$stage", stage);
}

/** The stage of `npm start` and of Docker Compose. */
const LOCAL_STAGE = "dev";

/** The source of a key: the first part of its reference that is there. A text of its own is a fault, unless `plain` allows it. */
export function keySource(
  key: string,
  around: Pick<Surroundings, "env" | "secrets" | "unreadable">,
  plain: boolean,
): KeySource | { fault: string; unset: boolean } {
  const inner = /^\$\{([^}]*)\}$/.exec(key)?.[1];
  if (inner === undefined) {
    if (plain && !key.includes("${")) return { value: key };
    return { fault: "must be ${env:NAME} or ${secret:NAME}: a key does not belong into a file", unset: false };
  }
  const reasons: string[] = [];
  for (const part of inner.split("|")) {
    const [, kind, given = "", otherwise] = PART.exec(part.trim()) ?? [];
    if (kind === undefined)
      return { fault: `${key} is not a reference; write \${env:NAME} or \${secret:NAME}`, unset: false };
    const name = kind === "secret" ? secretName(given, around.env["WAYBILL_STAGE"] || LOCAL_STAGE) : given;
    const value = kind === "env" ? around.env[name] || otherwise : undefined;
    if (value !== undefined) return { value };
    const unreadable = around.unreadable?.get(name);
    if (kind === "secret" && around.secrets && (unreadable?.passing ?? true)) return { secret: name };
    if (kind === "env") reasons.push(`the environment has no ${name}`);
    else if (unreadable === undefined) reasons.push(`there is no Secrets Manager here to ask for ${name}`);
    else reasons.push(`the secret ${name} cannot be read (${unreadable.reason})`);
  }
  return { fault: reasons.join(", and "), unset: true };
}
