/** A receiver, and what it is given and gives, for its tests. */
import type { Mode } from "../../../src/core/wire/frames.ts";
import { Receiver } from "../../../src/core/log/receiver.ts";
import { Allowance } from "../../../src/core/log/window.ts";
import { CountingBudget } from "../support.ts";

export const MAX_MESSAGE_BYTES = 100;

/** A receiver on a connection on which `window` bytes of credit were stated. */
export function receiving(
  mode: Mode,
  window: number,
  most: number = window,
  hasStore = false,
): { receiver: Receiver; window: Allowance; budget: CountingBudget } {
  const budget = new CountingBudget();
  const allowance = new Allowance(window, most, budget);
  const receiver = new Receiver(mode, MAX_MESSAGE_BYTES, allowance, hasStore);
  receiver.statedWindow();
  return { receiver, window: allowance, budget };
}

/** Messages as they stand in a log. */
export function encoded(...payloads: readonly Buffer[]): Buffer {
  return Buffer.concat(
    payloads.flatMap((payload) => {
      const prefix = Buffer.alloc(4);
      prefix.writeUInt32BE(payload.length);
      return [prefix, payload];
    }),
  );
}
