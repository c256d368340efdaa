/** Asks the lender of this run (lender.ts). Throws its reason where it cannot lend. */
export async function borrow(method: "POST" | "DELETE", what: "place" | "broker", body = ""): Promise<string> {
  const answer = await fetch(`${process.env["WAYBILL_TEST_LENDER"]}/${what}`, { method, body });
  const said = await answer.text();
  if (!answer.ok) throw new Error(said);
  return said;
}
