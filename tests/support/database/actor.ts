import { system } from "../../../lib/access/actor.ts";

/** For whom tests act where nobody calls. */
export const ACTOR = system("test");
