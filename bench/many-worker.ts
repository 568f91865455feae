/** Either end of many conversations, each with a few messages a second. */
import { setTimeout as sleep } from "node:timers/promises";
import { connector, type Conversation, listen, sendAlone, type Side } from "./contenders.ts";
import { LoopDelay, type LoopFigures } from "./loop-delay.ts";
import { Check, Payloads } from "./payloads.ts";
import { answerCalls } from "./calls.ts";
import { given } from "./worker.ts";

export type ManyCommands = {
  listen(): Promise<number>;
  open(options: { port: number; conversations: number }): Promise<void>;
  /** One message on each conversation so often a second, spread evenly. Answers how many were sent in all. */
  send(options: { perSecond: number; ms: number }): Promise<number>;
  /** Since it was asked the last time: what each conversation has received, and how the loop was. */
  look(): { received: number[] } & LoopFigures;
  /** Resolves when so many have been received in all. */
  received(messages: number): Promise<void>;
};

const BYTES = 64;
const BATCH = 50;
/** The limits on how fast links are opened are lifted: this is about what comes after. */
const LIFTED = 1_000_000;
/** How often a sender looks at what is due. */
const TICK_MS = 2;

const side = given() as Side;
const checks: Check[] = [];
const payloads = new Payloads(BYTES, false);
const open = connector(side, { maxDialsPerSecond: LIFTED });
const conversations: Conversation[] = [];
const loopDelay = new LoopDelay();
let looked: number[] = [];

answerCalls({
  listen: () => {
    loopDelay.start();
    return listen(side, accept, { limits: { opensPerSecond: LIFTED } });
  },
  open: async ({ port, conversations: wanted }) => {
    while (conversations.length < wanted) {
      const batch = Array.from({ length: Math.min(BATCH, wanted - conversations.length) }, () => open(port));
      conversations.push(...batch);
      await Promise.all(batch.map((conversation) => conversation.connected()));
    }
  },
  send: async ({ perSecond, ms }) => {
    const startMs = performance.now();
    const total = (conversations.length * perSecond * ms) / 1_000;
    let sent = 0;
    while (sent < total) {
      const due = Math.min(total, ((performance.now() - startMs) / 1_000) * perSecond * conversations.length);
      for (; sent < due; sent++) {
        const conversation = conversations[sent % conversations.length];
        if (conversation !== undefined) sendAlone(conversation, payloads.at(Math.floor(sent / conversations.length)));
      }
      await sleep(TICK_MS);
    }
    return sent;
  },
  look: () => {
    const counts = checks.map(({ messages }) => messages);
    const received = counts.map((count, at) => count - (looked[at] ?? 0));
    looked = counts;
    return { received, ...loopDelay.take() };
  },
  received: async (messages) => {
    const total = (): number => checks.reduce((sum, check) => sum + check.messages, 0);
    while (total() < messages) await sleep(10);
  },
} satisfies ManyCommands);

function accept(accepted: Conversation): void {
  const check = new Check(BYTES, false);
  checks.push(check);
  accepted.onMessage((message) => check.take(message));
}
