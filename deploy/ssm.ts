/** {{resolve:ssm:PATH}} or {{resolve:ssm:PATH:VERSION}}, as CloudFormation has it. */
const REFERENCE = /\{\{resolve:ssm:([^}]+)\}\}/g;

/** What SSM parameters hold, by path, with the version behind it where one was asked for. */
export type Ssm = Readonly<Record<string, string>>;

/** The SSM parameters that a text refers to, as SSM is asked for them: PATH, or PATH:VERSION. */
export function referencesIn(text: string): string[] {
  return Array.from(text.matchAll(REFERENCE), ([, asked = ""]) => asked);
}

/** Whether a parameter that SSM is asked for names its version. */
export function isVersioned(asked: string): boolean {
  return /:\d+$/.test(asked);
}

/** The text with what SSM holds in place of the references to it. What is not in `ssm` stays a reference. */
export function withTexts(text: string, ssm: Ssm): string {
  return text.replaceAll(REFERENCE, (reference: string, asked: string) => ssm[asked] ?? reference);
}

/** A template with what SSM holds in it: a change of SSM is one of the template then, which CloudFormation would not see otherwise. */
export function templateWithTexts<T extends object>(template: T, ssm: Ssm): T {
  return JSON.parse(JSON.stringify(template), (_, value: unknown) =>
    typeof value === "string" ? withTexts(value, ssm) : value,
  ) as T;
}
