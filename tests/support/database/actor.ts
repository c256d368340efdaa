import { DEFAULT_TEAM, system } from "../../../lib/access/actor.ts";

/** The team in which tests act where they name none. */
export const TEAM = DEFAULT_TEAM;

/** For whom tests act where nobody calls. */
export const ACTOR = system("test", TEAM);
