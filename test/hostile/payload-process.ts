/** Payloads that are given away before, or while, they are sent; and a consumer that gives away what it was handed. */
import { setTimeout as sleep } from "node:timers/promises";
import { ConnectionManager, RespliceError, ServerSupervisor } from "../../src/index.ts";
import { answerCalls } from "../../bench/calls.ts";

export type PayloadCommands = {
  run: () => Promise<{
    /** What send() and trySend() said of a payload that is gone. */
    said: string[];
    /** Messages that came and were never sent. */
    strangers: number;
    uncaught: number;
    /** Messages that did not come as they were sent when the consumer gave another's buffer away. */
    damaged: number;
    /** Whether the consumer could. */
    transfer: string;
  }>;
};

const BYTES = 1_000;
const LARGE_BYTES = 100_000;
const QUEUED = 50;
const NEIGHBOURS = 50;
const NEIGHBOUR_BYTES = 500;

let uncaught = 0;
process.on("uncaughtException", () => void uncaught++);

answerCalls({
  run: async () => {
    const got: Buffer[] = [];
    const supervisor = new ServerSupervisor({ port: 0, host: "127.0.0.1" });
    const consumed = { transfer: "", sound: 0 };
    supervisor.serve((link) => {
      link.onMessage(
        String(link.openPayload) === "neighbours" ? neighbours(consumed) : (message) => void got.push(message),
      );
    });
    const { port } = await supervisor.listen();
    const manager = new ConnectionManager();
    const target = { port, host: "127.0.0.1", queue: { maxMessages: QUEUED }, maxMessageBytes: 1_000_000 };
    const link = manager.open({ ...target, openPayload: "payloads" });
    const said: string[] = [];
    await settled(link.connected());
    for (const transfer of [false, true]) {
      said.push(
        await link.send(gone(BYTES), { transfer }).then(
          () => "taken",
          (error: unknown) => nameOf(error),
        ),
      );
      try {
        said.push(String(link.trySend(gone(LARGE_BYTES), { transfer })));
      } catch (error) {
        said.push(nameOf(error));
      }
    }
    await settled(link.send("the end").then(() => link.flush()));
    const strangers = got.filter((message) => message.length === 0).length;

    // Gone while it waits for room, which comes when there is a connection.
    const waiting = manager.open({ ...target, openPayload: "payloads" });
    const payloads = Array.from({ length: QUEUED + 10 }, () => new Uint8Array(BYTES).fill(1));
    const waits = payloads.map((payload) => waiting.send(payload, { transfer: true }).catch(() => {}));
    const last = payloads.at(-1);
    if (last !== undefined) structuredClone(last.buffer, { transfer: [last.buffer] });
    await settled(Promise.all(waits));
    for (let number = 0; number < 10; number++) await settled(waiting.send("another"));
    await settled(waiting.flush());

    const other = manager.open({ ...target, openPayload: "neighbours" });
    // All in one turn: they arrive in one chunk.
    for (let number = 0; number < NEIGHBOURS; number++) other.trySend(Buffer.alloc(NEIGHBOUR_BYTES, 7));
    await settled(other.flush());
    await settled(Promise.all([manager.close({ deadlineMs: 500 }), supervisor.close({ deadlineMs: 500 })]));
    const { transfer, sound } = consumed;
    return { said, strangers, uncaught, transfer, damaged: NEIGHBOURS - sound };
  },
} satisfies PayloadCommands);

/** Gives the first one's buffer away, and looks at the others. */
function neighbours(found: { transfer: string; sound: number }): (message: Buffer) => void {
  return (message) => {
    if (message.length === NEIGHBOUR_BYTES && message.every((byte) => byte === 7)) found.sound++;
    if (found.transfer !== "") return;
    try {
      structuredClone(message.buffer, { transfer: [message.buffer as ArrayBuffer] });
      found.transfer = "the consumer could give its buffer away";
    } catch (error) {
      found.transfer = `the consumer could not: ${nameOf(error)}`;
    }
  };
}

/** Or not, and for how long that is waited for. */
async function settled(work: Promise<unknown>): Promise<void> {
  await Promise.race([work.catch(() => {}), sleep(2_000)]);
}

/** Its bytes were given to somebody else. */
function gone(bytes: number): Uint8Array {
  const payload = new Uint8Array(bytes).fill(1);
  structuredClone(payload.buffer, { transfer: [payload.buffer] });
  return payload;
}

function nameOf(error: unknown): string {
  return error instanceof RespliceError ? error.code : error instanceof Error ? error.name : String(error);
}
