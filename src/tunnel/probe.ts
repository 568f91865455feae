/** Asks a far end to connect to a target, and gives the connection up again: a health check through the tunnel. */
import { randomUUID } from "node:crypto";
import { ConnectionManager, type OpenOptions, type Target } from "../index.ts";
import { SystemClock } from "../io/clock.ts";
import { Carrier } from "./carrier.ts";
import { objectRecord, readRefused, RECORD, record, RecordError } from "./records.ts";
import { introduce, LINK_OPTIONS } from "./terms.ts";

export interface ProbeOptions {
  readonly far: Target;
  /** How the far end is connected, and who we are. */
  readonly connect: Pick<OpenOptions, "tls" | "credentials">;
  /** HOST:PORT, or unix:PATH, as the far end knows it. */
  readonly to: string;
  /** For all of it, from the dial to the answer. */
  readonly withinMs: number;
}

/** How long the far end has to end the connection with the target in order. */
const END_MS = 1_000;

/** Resolves when the far end has connected to the target. Rejects with an error that says why it has not. */
export async function probe({ far, connect, to, withinMs }: ProbeOptions): Promise<void> {
  const clock = new SystemClock();
  const manager = new ConnectionManager();
  const late = Promise.withResolvers<never>();
  const deadline = clock.timer(() => late.reject(new Error(`no answer within ${withinMs / 1_000} s`)));
  deadline.set(clock.now() + withinMs);
  try {
    const link = manager.open({
      ...far,
      ...LINK_OPTIONS,
      ...connect,
      // The first attempt says what is wrong.
      reconnect: { maxAttempts: 0 },
      openPayload: introduce({ role: "carrier", instance: randomUUID(), name: undefined }),
    });
    const carrier = new Carrier(link, clock);
    const { opened, done } = answersOn(carrier);
    carrier.send(objectRecord(RECORD.open, { to, ends: undefined }));
    await Promise.race([opened, late.promise]);
    carrier.send(record(RECORD.end, Buffer.alloc(0)));
    deadline.set(clock.now() + END_MS);
    // That there is a connection is known: what is still to come is for the target.
    await Promise.race([done, late.promise]).catch(() => {});
  } finally {
    deadline.clear();
    await manager.close({ deadlineMs: 0 });
  }
}

/** `opened`: rejects with the far end's reason, or that of the link's end. `done`: nothing is left of the connection. */
function answersOn(carrier: Carrier): { opened: Promise<void>; done: Promise<void> } {
  const opened = Promise.withResolvers<void>();
  const done = Promise.withResolvers<void>();
  carrier.read({
    // What the target says first, to whoever connects.
    onData: () => {},
    onRecord: (type, content) => {
      switch (type) {
        case RECORD.opened:
          return opened.resolve();
        case RECORD.refused: {
          const { code, message } = readRefused(content);
          return opened.reject(new Error(`${code}: ${message}`));
        }
        case RECORD.end:
          return undefined;
        case RECORD.done:
          return done.resolve();
        default:
          throw new RecordError(`a record of type ${type} from the far end`);
      }
    },
    onClosed: ({ error }) => {
      opened.reject(error ?? new Error("the far end has ended the link"));
      done.resolve();
    },
  });
  return { opened: opened.promise, done: done.promise };
}
