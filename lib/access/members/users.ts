import type { Db } from "../../runtime/postgres/db.ts";

/** The id of the user of this name, who is made where there is none. */
export async function userNamed(db: Db, name: string): Promise<string> {
  await db`insert into users (name) values (${name}) on conflict on constraint users_name_key do nothing`;
  const [user] = await db<{ userId: string }[]>`select user_id from users where name = ${name}`;
  if (user === undefined) throw new Error("A user that was just there is gone.");
  return user.userId;
}
