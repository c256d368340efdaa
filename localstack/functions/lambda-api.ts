/** Invokes a function by the name it is deployed under; throws what the function threw. */
export type Invoke = (functionName: string, event: unknown) => Promise<unknown>;

/** The Lambda API of `serverless offline` on this port of loopback. */
export function lambdaApi(port: number): Invoke {
  return async (functionName, event) => {
    const url = `http://127.0.0.1:${port}/2015-03-31/functions/${functionName}/invocations`;
    const response = await fetch(url, { method: "POST", body: JSON.stringify(event) });
    const text = await response.text();
    const answer = text === "" ? null : (JSON.parse(text) as unknown);
    if (response.ok && response.headers.get("x-amz-function-error") === null) return answer;
    const { errorMessage, Message } = (answer ?? {}) as { errorMessage?: string; Message?: string };
    throw new Error(`${functionName} failed: ${errorMessage ?? Message ?? `HTTP ${response.status}`}`);
  };
}

/** Whether anything answers HTTP on this port of loopback yet. */
export async function serves(port: number): Promise<boolean> {
  try {
    await fetch(`http://127.0.0.1:${port}/`);
    return true;
  } catch {
    return false;
  }
}
