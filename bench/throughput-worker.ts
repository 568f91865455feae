/** One end of a conversation at full speed: it sends, receives, or both. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Link, QueueOptions } from "resplice";
import { connector, type Conversation, listen, type Side, UNWATCHED } from "./contenders.ts";
import { Check, Payloads } from "./payloads.ts";
import { RawConversation } from "./raw.ts";
import { answerCalls } from "./calls.ts";
import { given, heldBytes, type Sample, sample } from "./worker.ts";

export interface Traffic {
  side: Side;
  bytes: number;
  /**
   * "transfer": payloads are given away; a raw socket copies them all the same. "uncopied": raw, by reference. "send": a
   * promise for each message. "accepted": 1,000 of them at a time, each until the peer has accepted.
   */
  send: "copy" | "transfer" | "uncopied" | "send" | "accepted";
  receive: "handler" | "loop";
  bothWays: boolean;
  /** Of the link that sends. */
  queue?: QueueOptions;
  /** The server that receives watches nothing for overload. */
  unwatched?: boolean;
}

export type ConversationCommands = {
  listen(): Promise<number>;
  connect(port: number): void;
  sample(): Sample;
  /** Stops sending; answers how many were sent when all have left. */
  stop(): Promise<number>;
  /** Resolves when so many have been received. */
  received(messages: number): Promise<void>;
};

export type ThroughputCommands = ConversationCommands & {
  /** Bytes that are left when the garbage is gone: for a process that was started with exposeGc. */
  heldBytes(): number;
};

const IN_FLIGHT = 1_000;
const traffic = given() as Traffic;
const givenAway = traffic.send === "transfer" || traffic.send === "uncopied";
const payloads = new Payloads(traffic.bytes, givenAway);
const check = new Check(traffic.bytes, givenAway);
let sent = 0;
let stopping = false;
let sending: Promise<unknown> = Promise.resolve();
let conversation: Conversation | undefined;

answerCalls({
  listen: () =>
    listen(
      traffic.side,
      (accepted) => {
        receive(accepted);
        if (traffic.bothWays) sending = send(accepted);
      },
      traffic.unwatched === true ? UNWATCHED : {},
    ),
  connect: (port) => {
    const { queue } = traffic;
    const opened = connector(traffic.side)(port, queue === undefined ? {} : { queue });
    if (traffic.bothWays) receive(opened);
    sending = send(opened);
  },
  sample: () => sample(check.messages),
  heldBytes,
  stop: async () => {
    stopping = true;
    await sending;
    await conversation?.flush();
    return sent;
  },
  received: async (messages) => {
    while (check.messages < messages) await sleep(1);
  },
} satisfies ThroughputCommands);

function receive(from: Conversation): void {
  if (traffic.receive === "handler" || from instanceof RawConversation)
    from.onMessage((message) => check.take(message));
  else void loop(from);
}

async function loop(link: Link): Promise<void> {
  for await (const message of link) check.take(message);
}

function send(to: Conversation): Promise<unknown> {
  conversation = to;
  if (to instanceof RawConversation) return traffic.send === "uncopied" ? sendUncopied(to) : sendGathered(to);
  if (traffic.send === "send") return sendEach(to);
  if (traffic.send !== "accepted") return trySendEach(to, traffic.send === "transfer");
  return Promise.all(Array.from({ length: IN_FLIGHT }, () => sendEach(to, "accepted")));
}

async function sendGathered(to: RawConversation): Promise<void> {
  for (; !stopping; sent++) {
    const payload = payloads.at(sent);
    while (!to.trySend(payload)) await to.ready();
  }
}

async function sendUncopied(to: RawConversation): Promise<void> {
  while (!stopping) {
    if (!to.sendUncopied(payloads.at(sent++))) await to.ready();
  }
}

async function trySendEach(to: Link, transfer: boolean): Promise<void> {
  const options = transfer ? { transfer } : undefined;
  for (; !stopping; sent++) {
    const payload = payloads.at(sent);
    while (!to.trySend(payload, options)) await to.ready();
  }
}

async function sendEach(to: Link, until: "taken" | "accepted" = "taken"): Promise<void> {
  const options = until === "taken" ? undefined : { until };
  while (!stopping) await to.send(payloads.at(sent++), options);
}
