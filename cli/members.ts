import { ROLES } from "../lib/access/actor.ts";
import { all, call } from "./api.ts";
import type { Subject } from "./command.ts";
import { asTable } from "./output.ts";

type Member = { name: string; role: string; subject: string | null; created_at: string };

export const members: Subject = {
  name: "members",
  says: "who is in the team",
  commands: [
    {
      usage: "list",
      says: "who is in the team, by name",
      run: async () => {
        const found = await all<Member>("/members");
        return { data: found, ...asTable(found, "Nobody is in the team.") };
      },
    },
    {
      usage: "set <name> <role>",
      says: `take a person into the team, or give it another role: ${ROLES.join(", ")}`,
      flags: [{ flags: "--subject <subject>", says: "who it is elsewhere: ISSUER|SUB of OIDC, or an ARN" }],
      run: async ([name = "", role = ""], { subject }) => {
        const member = await call<Member>("PUT", pathOf(name), { role, subject });
        return {
          data: member,
          text: "",
          note: `${member.name} is ${member.role}. A key for it: waybill keys create NAME --user ${name}`,
        };
      },
    },
    {
      usage: "remove <name>",
      says: "take a person out of the team, and revoke its keys there",
      run: async ([name = ""]) => {
        await call("DELETE", pathOf(name));
        return { data: { name, removed: true }, text: "", note: `${name} is out, and its keys here are revoked.` };
      },
    },
  ],
};

function pathOf(name: string): string {
  return `/members/${encodeURIComponent(name)}`;
}
