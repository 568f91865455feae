import { BlockPool } from "../../../src/core/log/blocks.ts";
import type { Mode } from "../../../src/core/wire/frames.ts";
import { Sender } from "../../../src/core/log/sender.ts";
import type { Account } from "../../../src/core/log/window.ts";
import { Flight, RoundTrip } from "../../../src/core/log/window.ts";
import { ampleAccount, decodedData } from "../support.ts";

/** A sender on a connection with plenty of everything, except what is named. */
export function sending(
  mode: Mode,
  options: {
    limit?: number;
    flightBytes?: number;
    mostWrittenBytes?: number;
    account?: Account;
    hasOutbox?: boolean;
  } = {},
): {
  sender: Sender;
  flight: Flight;
  write: (maxBytes?: number) => ReturnType<typeof decodedData>;
  take: (bytes: number) => void;
} {
  const plenty = 16 * 1_048_576;
  const { account = ampleAccount(), mostWrittenBytes = plenty, hasOutbox } = options;
  const sender = new Sender(mode, new BlockPool(), account, mostWrittenBytes, hasOutbox);
  const flight = new Flight(new RoundTrip());
  flight.limitBytes = options.flightBytes ?? plenty;
  sender.restart(0, options.limit ?? plenty);
  const write = (maxBytes = plenty): ReturnType<typeof decodedData> => {
    const out: Buffer[] = [];
    sender.write(out, maxBytes, flight, 0);
    return decodedData(out);
  };
  return { sender, flight, write, take: (bytes) => sender.take(Buffer.alloc(bytes, "b"), bytes, false) };
}
