// A name has several addresses, and some of them answer nothing.
import { once } from "node:events";
import { createInterface } from "node:readline";
import { setTimeout as lasts } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";

import { UNAVAILABLE } from "./support/conversation.ts";
import { type Host, kill, layCable } from "./support/hosts.ts";
import type { Addresses, Become } from "./support/many-addresses.ts";

const PROGRAM = fileURLToPath(new URL("support/many-addresses.ts", import.meta.url));

/** The program on a host of its own, which has all of 127.0.0.0/8. */
async function begin(addresses: Addresses, filter: string) {
  const cable = await layCable();
  onTestFinished(() => cable[Symbol.asyncDispose]());
  const host: Host = cable.client;
  if (filter !== "") await host.filter({ in: filter });
  const child = host.spawn([process.execPath, PROGRAM, JSON.stringify(addresses)]);
  onTestFinished(() => kill(child));
  let complaints = "";
  child.stderr.on("data", (chunk: Buffer) => (complaints += String(chunk)));
  const lines = createInterface({ input: child.stdout });
  const ended = once(child, "close").then(() => Promise.reject(new Error(`the program ended: ${complaints}`)));
  ended.catch(() => {});
  const becomes = async (state: string): Promise<Become> => {
    for (;;) {
      const [line] = (await Promise.race([once(lines, "line"), ended])) as [string];
      const become = JSON.parse(line) as Become;
      if (become.to === state) return become;
    }
  };
  return { host, becomes, say: (text: string) => void child.stdin.write(`${text}\n`) };
}

describe.skipIf(UNAVAILABLE)("of several addresses", () => {
  test("four are silent, and one answers at once: connected within 1.5 s", async () => {
    const silent = ["127.0.1.1", "127.0.1.2", "127.0.1.3", "127.0.1.4"];
    const addresses = { listening: ["127.0.0.1"], found: [...silent, "127.0.0.1"] };
    const { becomes } = await begin(addresses, "ip daddr 127.0.1.0/24 counter drop");
    const { atMs, address } = await becomes("connected");
    console.log(`connected past four silent addresses after ${Math.round(atMs)} ms`);
    expect(address).toBe("127.0.0.1");
    expect(atMs).toBeGreaterThan(1_000);
    expect(atMs).toBeLessThan(1_500);
  });

  test("two are servers, and the SYN to the one that has the session is lost: it is resumed there", async () => {
    const two = ["127.0.0.1", "127.0.0.2"];
    const { host, becomes, say } = await begin({ listening: two, found: two }, "");
    expect(await becomes("connected")).toMatchObject({ session: "new", address: "127.0.0.1" });
    await host.filter({
      in: [
        "ip daddr 127.0.0.1 tcp dport 7000 tcp flags & (syn|ack) == syn counter drop",
        "ip daddr 127.0.0.1 tcp dport 7000 tcp flags & syn == 0 reject with tcp reset",
      ].join("\n"),
    });
    const dialled = becomes("connecting");
    say("which brings the reset");
    const { atMs: dialledMs } = await dialled;
    await lasts(500);
    expect(await host.struck()).toBe(1);
    const back = becomes("connected");
    await host.unfilter();
    const { session, address, atMs } = await back;
    console.log(`back after a lost SYN in ${Math.round(atMs - dialledMs)} ms`);
    expect([session, address]).toEqual(["resumed", "127.0.0.1"]);
    // The kernel repeats it after a second.
    expect(atMs - dialledMs).toBeGreaterThan(900);
  });
});
