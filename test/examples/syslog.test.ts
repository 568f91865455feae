import type net from "node:net";
import { expect, test } from "vitest";
import { Arrivals, eventually, rawServer, relayTo } from "../support.ts";
import { example } from "./support/program.ts";

interface SyslogServer {
  port: number;
  sockets: Arrivals<net.Socket>;
  /** The texts of the lines that have arrived whole. */
  texts: string[];
}

/** Reads lines with their lengths in front, and says nothing. */
async function syslogServer(): Promise<SyslogServer> {
  const sockets = new Arrivals<net.Socket>();
  const texts: string[] = [];
  const port = await rawServer((socket) => {
    let rest = "";
    socket.on("data", (chunk: Buffer) => {
      rest += chunk.toString("latin1");
      for (;;) {
        const [digits] = /^\d+ /u.exec(rest) ?? [];
        if (digits === undefined || rest.length < digits.length + Number(digits)) return;
        const line = rest.slice(digits.length, digits.length + Number(digits));
        rest = rest.slice(digits.length + Number(digits));
        const [, text] = /^<14>1 \d{4}-\d\d-\d\dT\S+Z \S+ example \d+ - - (.*)$/su.exec(line) ?? [];
        texts.push(String(Buffer.from(text ?? `no line of RFC 5424: ${line}`, "latin1")));
      }
    });
    sockets.put(socket);
  });
  return { port, sockets, texts };
}

test("every line has arrived, or is reported as dropped, in doubt or untracked", { timeout: 30_000 }, async () => {
  const server = await syslogServer();
  const relay = await relayTo(server.port);
  relay.refuse();
  const shipper = example("syslog", relay.port, 3, 60_000);
  shipper.write("one", "two", "drei Äpfel", "four", "five");
  // There is room for three while there is no server.
  await shipper.line(/^not-sent, overflow: .* one$/u);
  await shipper.line(/^not-sent, overflow: .* two$/u);
  relay.heal();
  await eventually(() => expect(server.texts).toEqual(["drei Äpfel", "four", "five"]));

  // Nothing has said that they arrived.
  relay.cut("rst");
  for (const text of server.texts) await shipper.line(new RegExp(`^maybe, connection-lost: .* ${text}$`, "u"));
  await server.sockets.next();
  await server.sockets.next();
  shipper.write("six", "seven");
  shipper.process.stdin.end();
  await shipper.line(/^untracked, closed: 2 lines$/u);
  expect(await shipper.exited).toBe(0);
  await eventually(() => expect(server.texts.slice(3)).toEqual(["six", "seven"]));
  expect(shipper.lines.filter((line) => /^(?:not-sent|maybe|untracked), /u.test(line))).toHaveLength(6);
});

test("a line that has waited for too long is dropped", { timeout: 30_000 }, async () => {
  const server = await syslogServer();
  const relay = await relayTo(server.port);
  relay.refuse();
  const shipper = example("syslog", relay.port, 100, 100);
  shipper.write("too late");
  await shipper.line(/^not-sent, expired: .* too late$/u);
  relay.heal();
  await shipper.line(/^connected: /u);
  shipper.write("in time");
  shipper.process.stdin.end();
  expect(await shipper.exited).toBe(0);
  await eventually(() => expect(server.texts).toEqual(["in time"]));
});
