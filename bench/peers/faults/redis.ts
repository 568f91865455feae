import { once } from "node:events";
import { Redis } from "ioredis";
import { type Contender, DEAD_MS, PING_MS } from "../../faults/contender.ts";
import { HOST } from "../peer.ts";

const GROUP = "readers";
const FIELD = "message";
const ALL_PENDING = "0";
const ONLY_NEW = ">";
const AT_ONCE = 500;

/** It has no heartbeat: a connection that owes an answer for so long is closed. */
const OPTIONS = {
  host: HOST,
  socketTimeout: DEAD_MS,
  connectTimeout: DEAD_MS,
} as const;

/** Entries of a stream, read by a consumer group; what a lost connection had taken is read again as pending. */
export const redisStreams: Contender = {
  async receive(take, { port, name }) {
    // A read that is sent again would pass over the answer that was lost. So it is to fail, and then what is pending is read.
    const redis = await open(port, 0);
    await redis.xgroup("CREATE", name, GROUP, "$", "MKSTREAM");
    void readAll(redis, name, take);
    return { port };
  },

  async connect({ port, name }) {
    const redis = await open(port, null);
    const add = (message: Buffer): void => {
      redis.xadd(name, "*", FIELD, message).catch(() => add(message));
    };
    return { send: add };
  },
};

/** With null a command waits for its connection without a limit; with 0 it fails when that is lost. */
async function open(port: number, maxRetriesPerRequest: number | null): Promise<Redis> {
  const redis = new Redis({ ...OPTIONS, port, maxRetriesPerRequest });
  redis.on("error", () => {}); // 'close' follows, and it connects again
  await once(redis, "ready");
  return redis;
}

async function readAll(redis: Redis, name: string, take: (message: Buffer) => void): Promise<never> {
  let from = ALL_PENDING;
  for (;;) {
    try {
      const [stream] =
        ((await redis.xreadgroupBuffer(
          ...(["GROUP", GROUP, "reader", "COUNT", AT_ONCE, "BLOCK", PING_MS, "STREAMS", name, from] as const),
        )) as [name: Buffer, entries: [id: Buffer, fields: Buffer[]][]][] | null) ?? [];
      const entries = stream?.[1] ?? [];
      for (const [, [, message]] of entries) take(message as Buffer);
      if (entries.length > 0) await redis.xack(name, GROUP, ...entries.map(([id]) => id));
      else from = ONLY_NEW;
    } catch {
      from = ALL_PENDING;
    }
  }
}
