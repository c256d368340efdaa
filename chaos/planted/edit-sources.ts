// Loaded by `node --import` into the processes of a run: makes the edits of CHAOS_EDITS in what they load, so that the product
// itself knows nothing of the harness.
import { registerHooks } from "node:module";
import { pathToFileURL } from "node:url";
import { type Edit, edited } from "./edits.ts";

const root = pathToFileURL(`${process.env["CHAOS_ROOT"] ?? ""}/`).href;
const edits = JSON.parse(process.env["CHAOS_EDITS"] ?? "[]") as Edit[];
const byUrl = Map.groupBy(edits, ({ file }) => root + file);

registerHooks({
  load: (url, context, next) => {
    const loaded = next(url, context);
    const own = byUrl.get(url);
    if (own === undefined) return loaded;
    return { ...loaded, shortCircuit: true, source: edited(textOf(loaded.source), own) };
  },
});

function textOf(source: string | ArrayBuffer | NodeJS.TypedArray | undefined | null): string {
  return typeof source === "string" ? source : new TextDecoder().decode(source ?? undefined);
}
