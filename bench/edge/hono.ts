import { Hono } from "hono";
import { handle } from "hono/aws-lambda";
import * as z from "zod";

const Params = z.strictObject({ name: z.string() });
const app = new Hono();
app.get("/hello/:name", (c) => c.json({ hello: Params.parse(c.req.param()).name }));

/** Hono behind its own Lambda adapter, with zod for the parameter as our edge has. */
export const handler = handle(app);
