/** What a Lambda function costs that has no edge at all. */
export const handler = async () => ({ statusCode: 200, body: '{"hello":"world"}' });
