/** `npm run bench -- faults`: what each contender loses, doubles and reorders, and the longest gap that a receiver sees. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Direction } from "resplice/testing";
import { type Crew, type Worker, withCrew } from "../crew.ts";
import type { ContenderDefinition } from "./list.ts";
import type { Count } from "./count.ts";
import { WAIT_MS } from "./messages.ts";
import type { PathCommands } from "./path-worker.ts";
import { FAULTS } from "./plan.ts";
import type { EndCommands } from "./worker.ts";

/** Undefined: no result. */
export type Counts = Readonly<Record<string, Count | undefined>>;

export interface Outcome {
  counts: Counts;
  /** By the name of a fault, why it has no result. */
  failures: ReadonlyMap<string, string>;
}

/** Until the code of all ends is compiled. */
const WARM_UP_MS = 1_500;
/** Longer than it takes to settle and to count. */
const ANSWER_MS = 30_000;

/**
 * One contender under all faults at once: each fault has a path of its own, and two ends in processes of their own. What
 * they wait for is time, and not the processor. Throws if they cannot be connected.
 */
export function measureUnderFaults(
  contender: ContenderDefinition,
  startBroker: (crew: Crew) => Promise<number>,
): Promise<Outcome> {
  return withCrew(undefined, async (crew) => {
    const brokerPort = contender.broker === null ? 0 : await startBroker(crew);
    const paths = crew.start<PathCommands>("faults/path-worker.ts", `${contender.name}, paths`, null);
    const connected = FAULTS.map((fault) => connect(crew, contender, { fault: fault.name, paths, brokerPort }));
    const met = (await Promise.all(connected)).map(meet);
    const failures = new Map<string, string>();
    const counts: Record<string, Count | undefined> = {};
    await Promise.all(
      FAULTS.map(async ({ name }, at) => {
        try {
          counts[name] = await met[at];
        } catch (error) {
          failures.set(name, (error as Error).message);
        }
      }),
    );
    return { counts, failures };
  });
}

interface Pair {
  fault: string;
  receiver: Worker<EndCommands>;
  sender: Worker<EndCommands>;
  paths: Worker<PathCommands>;
  toReceiver: Direction;
}

/** Two ends, and the path between them or between one of them and the broker. */
async function connect(
  crew: Crew,
  { name: who, module, breaks }: ContenderDefinition,
  { fault, paths, brokerPort }: Pick<Pair, "fault" | "paths"> & { brokerPort: number },
): Promise<Pair> {
  const [receiver, sender] = ["receiver", "sender"].map((role) =>
    crew.start<EndCommands>("faults/worker.ts", `${who}, ${fault}, ${role}`, module),
  ) as [Worker<EndCommands>, Worker<EndCommands>];
  const name = fault.replaceAll(/[^A-Za-z]+/gu, "-");
  if (breaks === "broker to subscriber") {
    await receiver.call("receive", { port: await paths.call("open", { fault, toPort: brokerPort }), name });
    await sender.call("connect", { port: brokerPort, name });
    return { fault, receiver, sender, paths, toReceiver: "to-client" };
  }
  const toPort = await receiver.call("receive", { port: brokerPort, name });
  await sender.call("connect", { port: await paths.call("open", { fault, toPort }), name });
  return { fault, receiver, sender, paths, toReceiver: "to-server" };
}

async function meet({ receiver, sender, paths, fault, toReceiver }: Pair): Promise<Count> {
  await sender.call("begin");
  await sleep(WARM_UP_MS);
  await paths.call("play", { fault, toReceiver });
  return receiver.callWithin(WAIT_MS + ANSWER_MS, "count", await sender.call("stop"));
}
