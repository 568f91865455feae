// Positions of vehicles: of each only the newest counts. Alarms go first, and are never dropped for a position.
import { type ConnectionManager, type Link, type QueueOptions, RespliceError, type UndeliveredMessage } from "resplice";

const QUEUE: QueueOptions = {
  maxMessages: 10_000,
  overflow: "conflate",
  ttlMs: 30_000,
  priorities: [
    { name: "alarm", weight: 16, maxMessages: 1_000 },
    { name: "position", weight: 1 },
  ],
  whileDisconnected: { failAfterMs: 60_000 },
};

interface Position {
  vehicle: string;
  at: readonly [number, number];
}

export function open(manager: ConnectionManager): Link {
  const link = manager.open({ port: 7300, queue: QUEUE });
  link.on("undelivered", ({ reason, messages }) => {
    const isExpected = reason === "conflated" || reason === "expired";
    if (!isExpected) console.warn(reason, messages.length);
  });
  return link;
}

export function report(link: Link, position: Position): boolean {
  return link.trySend(JSON.stringify(position), { key: position.vehicle, priority: "position" });
}

/** Answers whether the control room has it. */
export async function alarm(link: Link, text: string): Promise<boolean> {
  try {
    await link.send(text, { priority: "alarm", ttlMs: Infinity, until: "accepted" });
    return true;
  } catch (error) {
    if (!(error instanceof RespliceError)) throw error;
    if (error.code === "DROPPED" || error.code === "NOT_CONNECTED") return false;
    throw error;
  }
}

export function giveUpPositions(link: Link): UndeliveredMessage[] {
  const { oldestAgeMs = 0 } = link.stats().queue;
  return link.clear({ priority: "position", olderThanMs: oldestAgeMs / 2 });
}
