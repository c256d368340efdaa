import { LRUCache } from "lru-cache";
import type { Caller } from "../access/actor.ts";
import { type Authenticate, authenticator } from "../access/identity/authenticate.ts";
import { cachedFor } from "../access/identity/cached.ts";
import { fromContext } from "../access/identity/context.ts";
import { credentialOf } from "../access/identity/credential.ts";
import { findSigner, signerOf } from "../access/identity/iam.ts";
import { takeAllowance } from "../access/keys/allowance.ts";
import type { Outcome } from "../access/outcome.ts";
import { refusedAs } from "../access/refused.ts";
import { uuidOf } from "../runtime/ids.ts";
import { withConnections } from "../runtime/postgres/pool.ts";
import type { Identify } from "./acting.ts";
import type { Edges } from "./edges.ts";
import type { PlaneSettings } from "./settings.ts";

/** What finding out who calls takes. */
export type Knowing = { edges: Pick<Edges, "db">; settings: Pick<PlaneSettings, "identity"> };

/** How long a process takes a caller for what it was: so long a key that was revoked is still good. */
const KEPT_MS = 30_000;
const KEPT = 1_000;
/** How long a process asks about a key before it says that the database is away. */
const PATIENCE_MS = 5_000;

/** Callers by what stands before the function says of them: the authorizer's word, or who has signed. */
export function callersOf(knowing: Knowing): Identify {
  return counted(knowing, toldCallers(knowing));
}

function toldCallers(knowing: Knowing): Identify {
  const signers = signersOf(knowing);
  return async ({ authorizer, headers }) => {
    const { lambda, iam } = authorizer;
    if (lambda === undefined || lambda === null) return await signers(iam);
    // The authorizer sees one header: its answer is kept by that.
    const shown = credentialOf(headers);
    if ("refused" in shown && shown.refused === "credentials_conflict") throw refusedAs(shown.refused);
    return callerIn(fromContext(lambda, new Date()));
  };
}

/** Callers where nothing stands before the function, as at a function URL: by the keys that they show. Who is known is kept for 30 s. */
export function callersByKey(knowing: Knowing): Identify {
  const told = toldCallers(knowing);
  const authenticate = cachedFor(KEPT_MS, authenticating(knowing, PATIENCE_MS));
  return counted(knowing, async (asked) => {
    const { authorizer, headers } = asked;
    if (Object.keys(authorizer).length > 0) return await told(asked);
    return callerIn(await authenticate(headers));
  });
}

/** Counts each call of a caller whose key has limits. */
function counted({ edges }: Knowing, identify: Identify): Identify {
  return async (asked) => {
    const caller = await identify(asked);
    if (caller.limits !== undefined)
      await withConnections(false, async () => await takeAllowance(edges.db, caller, asked.bytes));
    return caller;
  };
}

/** Finds out who calls by the headers of a call, on connections that are looked after, in `ms` milliseconds. */
export function authenticating({ edges, settings }: Knowing, ms?: number): Authenticate {
  let made: Authenticate | undefined;
  return async (headers) => {
    made ??= authenticator(edges.db, settings.identity);
    const authenticate = made;
    return await withConnections(true, async () => await authenticate(headers), ms);
  };
}

function signersOf({ edges, settings }: Knowing): (iam: unknown) => Promise<Caller> {
  const kept = new LRUCache<string, Caller>({ max: KEPT, ttl: KEPT_MS });
  return async (iam) => {
    const arn = signerOf(iam);
    if (arn === undefined) throw refusedAs("credentials_missing");
    const known = kept.get(arn);
    if (known !== undefined) return known;
    const { iamRole } = settings.identity;
    const found = await withConnections(true, async () => await findSigner(edges.db, arn, iamRole, uuidOf));
    kept.set(arn, found);
    return found;
  };
}

function callerIn(outcome: Outcome): Caller {
  if ("refused" in outcome) throw refusedAs(outcome.refused);
  return outcome.caller;
}
