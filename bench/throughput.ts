/** Rates: one way, both ways, and each way of sending and receiving. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Crew, Worker } from "./crew.ts";
import type { RowName } from "./rows.ts";
import type { Scenario } from "./scenario.ts";
import type { ConversationCommands, Traffic } from "./throughput-worker.ts";
import type { Sample } from "./worker.ts";

/** Before it is measured, so that the code is compiled and the windows have grown. */
export const WARM_UP_MS = 500;

const UNDER_POLICY = "one way, 64 B, a queue with a policy beside one without";

type RateName = { [K in RowName]: `${K}, CPU` extends RowName ? K : never }[RowName];

export const throughput: readonly Scenario[] = [
  atFullSpeed("one way, 64 B", { bytes: 64 }),
  atFullSpeed("one way, 1 KiB", { bytes: 1_024 }),
  atFullSpeed("one way, 64 KiB copied", { bytes: 65_536 }),
  atFullSpeed("one way, 64 KiB transferred", { bytes: 65_536, send: "transfer" }),
  atFullSpeed("one way, 64 KiB transferred, raw uncopied too", { bytes: 65_536, send: "transfer" }, "uncopied"),
  atFullSpeed("both directions busy, 64 B", { bytes: 64, bothWays: true }),
  atFullSpeed("received by for await, 64 B", { bytes: 64, receive: "loop" }),
  atFullSpeed("await send(), 64 B", { bytes: 64, send: "send" }),
  atFullSpeed("until accepted, 1,000 in flight, 64 B", { bytes: 64, send: "accepted" }),
];

function atFullSpeed(
  name: RateName,
  given: Partial<Traffic> & { bytes: number },
  referenceSend: Traffic["send"] = given.send ?? "copy",
): Scenario {
  return {
    name,
    rows: [name, `${name}, CPU`],
    sides: ["ours", "reference"],
    async measure(side, crew, { seconds }) {
      const traffic: Traffic = { side, send: "copy", receive: "handler", bothWays: false, ...given };
      if (side === "reference") traffic.send = referenceSend;
      const { rate, cpuNs } = await converse(crew, traffic, seconds);
      return { [name]: rate, [`${name}, CPU`]: cpuNs };
    },
  };
}

/** Here the reference is resplice too: the same link without a policy. */
export const underPolicy: Scenario = {
  name: UNDER_POLICY,
  rows: [UNDER_POLICY],
  sides: ["ours", "reference"],
  async measure(side, crew, { seconds }) {
    const traffic: Traffic = { side: "ours", bytes: 64, send: "copy", receive: "handler", bothWays: false };
    if (side === "ours") traffic.queue = { ttlMs: 60_000, priorities: [{ name: "high" }, { name: "low" }] };
    return { [UNDER_POLICY]: (await converse(crew, traffic, seconds)).rate };
  },
};

export function converse(crew: Crew, traffic: Traffic, seconds: number): Promise<Rates> {
  return converseIn("throughput-worker.ts", crew, traffic, seconds);
}

/** Both ends are processes of this file, which are given the same argument. */
export async function converseIn(file: string, crew: Crew, argument: unknown, seconds: number): Promise<Rates> {
  const receiver = crew.start<ConversationCommands>(file, "receiver", argument);
  const sender = crew.start<ConversationCommands>(file, "sender", argument);
  await sender.call("connect", await receiver.call("listen"));
  await sleep(WARM_UP_MS);
  const rates = await measureRates(receiver, sender, seconds);
  const [forth, back] = await Promise.all([sender.call("stop"), receiver.call("stop")]);
  await Promise.all([receiver.call("received", forth), sender.call("received", back)]);
  return rates;
}

export interface Rates {
  /** Messages a second that both ends together have received. */
  rate: number;
  /** CPU time of both processes for each of them. */
  cpuNs: number;
}

/** From two looks at each end. Each end reads its own clock as it counts: when it comes to answer does not matter. */
export async function measureRates(
  receiver: Worker<{ sample(): Sample }>,
  sender: Worker<{ sample(): Sample }>,
  seconds: number,
): Promise<Rates> {
  const look = (): Promise<[Sample, Sample]> => Promise.all([receiver.call("sample"), sender.call("sample")]);
  const before = await look();
  await sleep(1_000 * seconds);
  const after = await look();
  let rate = 0;
  let cpuNsPerSecond = 0;
  for (const [at, end] of after.entries()) {
    const start = before[at] as Sample;
    const s = (end.atMs - start.atMs) / 1_000;
    rate += (end.messages - start.messages) / s;
    cpuNsPerSecond += (1_000 * (end.cpuUs - start.cpuUs)) / s;
  }
  return { rate, cpuNs: cpuNsPerSecond / rate };
}
