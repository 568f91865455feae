/** A client of a Redis server: so many loops, each of which awaits the answer to a SET, and then to a GET. */
import { ConnectionManager } from "resplice";
import { Redis } from "../examples/redis.ts";
import { answerCalls } from "./calls.ts";
import { HOST, type Side } from "./contenders.ts";
import { percentile } from "./statistics.ts";
import { fail, given, type Sample, sample } from "./worker.ts";

export type RedisCommands = {
  begin(loops: number): void;
  /** Of answers. */
  sample(): Sample;
  /** From now on it is measured how long each answer takes. */
  time(): void;
  /** Resolves when nothing is under way, with the median of the times in microseconds. */
  stop(): Promise<number>;
};

interface Client {
  set(key: string, value: string): Promise<unknown>;
  get(key: string): Promise<unknown>;
}

const VALUE_CHARACTERS = 64;
const { side, port } = given() as { side: Side; port: number };
const client = side === "ours" ? ours() : (await import("./peers/ioredis.ts")).ioredis(port);
let answers = 0;
let loops: Promise<unknown> = Promise.resolve();
let stopping = false;
let tookUs: number[] | undefined;

answerCalls({
  begin: (count) => {
    loops = Promise.all(Array.from({ length: count }, (_, index) => loop(`key:${index}`)));
  },
  sample: () => sample(answers),
  time: () => {
    tookUs = [];
  },
  stop: async () => {
    stopping = true;
    await loops;
    return percentile(tookUs ?? [], 0.5);
  },
} satisfies RedisCommands);

function ours(): Client {
  const redis = new Redis(new ConnectionManager(), { port, host: HOST });
  return { set: (key, value) => redis.call(["SET", key, value]), get: (key) => redis.call(["GET", key]) };
}

async function loop(key: string): Promise<void> {
  for (let turn = 0; !stopping; turn++) {
    const value = `${turn} of ${key} `.padEnd(VALUE_CHARACTERS, "x");
    const atMs = performance.now();
    await client.set(key, value);
    const setMs = performance.now();
    const answer = await client.get(key);
    if (answer !== value) fail(`${key} is ${String(answer)}, not ${value}`);
    tookUs?.push(1_000 * (setMs - atMs), 1_000 * (performance.now() - setMs));
    answers += 2;
  }
}
