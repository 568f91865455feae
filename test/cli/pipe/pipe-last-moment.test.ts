/** `resplice listen` in this process, whose client is cut in the last moment. */
import { PassThrough } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test, vi } from "vitest";
import { EXIT } from "../../../src/cli/exit-codes.ts";
import { listen } from "../../../src/cli/pipe/pipe.ts";
import { Arrivals, openTo, relayTo } from "../../support.ts";

const OPTIONS = {
  progress: false,
  verbose: false,
  giveUpMs: undefined,
  resumeForMs: undefined,
  tls: undefined,
  tokenFile: undefined,
};

test("a client that is cut in the last moment, and cannot come back at once, still hears of the end", async () => {
  const [input, output, lines] = [new PassThrough(), new PassThrough(), new Arrivals<string>()];
  vi.spyOn(process, "stdin", "get").mockReturnValue(input as never);
  vi.spyOn(process, "stdout", "get").mockReturnValue(output as never);
  vi.spyOn(process.stderr, "write").mockImplementation((line) => (lines.put(String(line)), true));
  const exit = listen({ address: { host: "127.0.0.1", port: 0 }, ...OPTIONS });
  const relay = await relayTo(Number((await lines.next()).split(":").at(-1)));
  const link = openTo(relay.port, { mode: "bytes", allowHalfOpen: true });
  input.end("what the listener has");
  expect(String(await link.receive())).toBe("what the listener has");
  // The listener's last word is on its way when the path is cut.
  relay.stall({ direction: "to-client" });
  link.end();
  while (!(await lines.next()).endsWith("closed\n"));
  relay.refuse();
  relay.cut("rst");
  // Longer than a server waits after its deadline.
  await sleep(1_500);
  relay.heal();
  expect(await link.receive()).toBe(null);
  expect([await link.closed, await exit]).toEqual([{ undelivered: [] }, EXIT.ok]);
});
