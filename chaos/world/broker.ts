import { existsSync } from "node:fs";
import { findOwnBroker, type OwnBroker } from "../../tests/support/queues/rabbitmq.ts";

/** Why no RabbitMQ of its own can be started here; undefined where one can. */
export function missingBroker(): string | undefined {
  const there = ["/usr/lib/rabbitmq/bin/rabbitmq-server", "/usr/sbin/rabbitmq-server"].some((file) => existsSync(file));
  return there ? undefined : "needs rabbitmq-server (Debian: apt-get install rabbitmq-server)";
}

/** Starts a RabbitMQ with nothing in common with any other. Throws where there is none: ask missingBroker first. */
export async function startBroker(): Promise<OwnBroker> {
  const begin = findOwnBroker();
  if (begin === undefined) throw new Error(missingBroker());
  return await begin();
}
