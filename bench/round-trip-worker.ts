/** Either end of an exchange: who asks has one message in flight, the other sends back what comes. */
import { connector, listen, sendAlone, type Side, UNWATCHED } from "./contenders.ts";
import { Check, Payloads } from "./payloads.ts";
import { percentile } from "./statistics.ts";
import { answerCalls } from "./calls.ts";
import { given } from "./worker.ts";

export type RoundTripCommands = {
  listen(): Promise<number>;
  /** Exchanges messages for so long on a conversation that is connected. */
  exchange(options: { port: number; warmUpMs: number; ms: number }): Promise<{ p50Us: number; p99Us: number }>;
  /** From opening a conversation until the answer to its first message is here, so many times, one after the other. */
  openings(options: { port: number; times: number }): Promise<number[]>;
};

const BYTES = 64;
const { side, unwatched = false } = given() as { side: Side; unwatched?: boolean };
const payloads = new Payloads(BYTES, false);

answerCalls({
  listen: () =>
    listen(
      side,
      (accepted) => accepted.onMessage((message) => sendAlone(accepted, message)),
      unwatched ? UNWATCHED : {},
    ),
  exchange: async ({ port, warmUpMs, ms }) => {
    const conversation = connector(side)(port);
    const check = new Check(BYTES, false);
    const tripsUs: number[] = [];
    await conversation.connected();
    const startMs = performance.now();
    return new Promise((resolve) => {
      let askedMs = performance.now();
      conversation.onMessage((message) => {
        const nowMs = performance.now();
        check.take(message);
        if (nowMs - startMs > warmUpMs) tripsUs.push(1_000 * (nowMs - askedMs));
        if (nowMs - startMs > warmUpMs + ms) {
          resolve({ p50Us: percentile(tripsUs, 0.5), p99Us: percentile(tripsUs, 0.99) });
          return;
        }
        askedMs = performance.now();
        sendAlone(conversation, payloads.at(check.messages));
      });
      sendAlone(conversation, payloads.at(0));
    });
  },
  openings: async ({ port, times }) => {
    const open = connector(side);
    const tookMs: number[] = [];
    for (let time = 0; time < times; time++) {
      const startMs = performance.now();
      const conversation = open(port);
      const answered = new Promise<void>((resolve) => conversation.onMessage(() => resolve()));
      sendAlone(conversation, payloads.at(time));
      await answered;
      tookMs.push(performance.now() - startMs);
    }
    return tookMs;
  },
} satisfies RoundTripCommands);
