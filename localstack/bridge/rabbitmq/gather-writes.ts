import type { Socket } from "node:net";
import type { Channel } from "amqplib";

/** What is published or acked within this time leaves in one write: a write costs more than a message, here and at the broker. */
const GATHER_MS = 2;
const corked = new WeakSet<Socket>();

/** To be called before a frame is sent over the channel. amqplib writes each frame by itself, and has no setting for it. */
export function gatherWrites(channel: Channel): void {
  const { stream } = channel.connection as unknown as { stream: Socket };
  if (corked.has(stream)) return;
  corked.add(stream);
  stream.cork();
  setTimeout(() => {
    corked.delete(stream);
    stream.uncork();
  }, GATHER_MS);
}
