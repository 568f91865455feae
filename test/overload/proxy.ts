/** A server behind a balancer: PROXY headers that come in two parts, wrong ones, and what is counted by the address. */
import { once } from "node:events";
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import tls from "node:tls";
import type { Link } from "../../src/index.ts";
import { certificate } from "../certificate.ts";
import { binaryHeader, ipv4Header, ipv6Header, lineHeader, unixHeader } from "../io/proxy-header-bytes.ts";
import { NONE, type OverloadScenario, type OverloadStage } from "./stage.ts";

const CLIENT = "203.0.113.7";
const CLIENT_6 = [0x2001, 0xdb8, 0, 0, 0, 0, 0, 1];
const FROM = { from: ["127.0.0.1"] };
/** So many clients at once. */
const AT_ONCE = 20;
/** Between the two parts of a header: the server has read the first. */
const BETWEEN_MS = 5;
const ANSWERED_WITHIN_MS = 5_000;
const line = (text: string): Buffer => Buffer.from(`PROXY ${text}\r\n`);

const GOOD: ReadonlyArray<[header: Buffer, address: string]> = [
  [lineHeader(CLIENT), CLIENT],
  [lineHeader("2001:db8::1", "TCP6"), "2001:db8::1"],
  [line("UNKNOWN"), "127.0.0.1"],
  [ipv4Header(CLIENT), CLIENT],
  [ipv4Header(CLIENT, { checksum: true, tlvs: [[4, Buffer.alloc(40)]] }), CLIENT],
  [ipv4Header(CLIENT, { command: 0 }), "127.0.0.1"],
  [ipv6Header(CLIENT_6, { tlvs: [[0xe0, Buffer.from("vpc")]] }), "2001:db8::1"],
  [unixHeader(), ""],
];
const WRONG: readonly Buffer[] = [
  line("TCP4 999.2.3.4 1.2.3.4 1 1"),
  line("TCP4 1.2.3.4 1.2.3.4 99999 1"),
  line("TCP4 1.2.3.4 1.2.3.4 1"),
  line("TCP5 1.2.3.4 1.2.3.4 1 1"),
  Buffer.from("GET / HTTP/1.1\r\n\r\n"),
  ipv4Header(CLIENT, { checksum: 0x12345678 }),
  ipv4Header(CLIENT, { length: 4 }),
  binaryHeader({ version: 1 }),
];

export const PROXY: readonly OverloadScenario[] = [
  {
    name: "proxy",
    about: "PROXY headers of both versions, cut at each byte, and wrong ones",
    run: (s) => play(s, false),
  },
  { name: "proxy TLS", about: "the same with TLS behind the header", run: (s) => play(s, true) },
];

/** A header whose second part comes later. */
async function connectInParts(port: number, header: Buffer, cut: number): Promise<net.Socket> {
  const socket = net.connect({ port, host: "127.0.0.1", noDelay: true });
  await once(socket, "connect");
  socket.write(header.subarray(0, cut));
  await sleep(BETWEEN_MS);
  if (cut < header.length) socket.write(header.subarray(cut));
  return socket;
}

async function play(stage: OverloadStage, isTls: boolean): Promise<void> {
  const pem = isTls ? await certificate() : undefined;
  const limits = { connectionsPerAddress: 2 * AT_ONCE };
  const { server, port } = await stage.serve({
    server: { resources: NONE, proxyProtocol: FROM, limits, ...(pem && { tls: pem }) },
    isEcho: true,
  });
  const manager = stage.manager({ maxDialsPerSecond: 10_000 });
  const connect = async (header: Buffer, cut: number): Promise<net.Socket> => {
    const socket = await connectInParts(port, header, cut);
    if (pem === undefined) return socket;
    const secure = tls.connect({ socket, ca: pem.cert, servername: "localhost" });
    await once(secure, "secureConnect");
    return secure;
  };
  const open = (header: Buffer, cut: number): Link => manager.open({ connect: () => connect(header, cut) });
  const all = GOOD.flatMap(([header, address]) =>
    Array.from({ length: header.length }, (_, n) => ({ header, address, cut: n + 1 })),
  );
  const every = Math.max(1, Math.floor(100 / stage.percent));
  const splits = all.filter((_, n) => n % every === 0);
  const failures: string[] = [];
  for (let at = 0; at < splits.length; at += AT_ONCE) {
    await Promise.all(
      splits.slice(at, at + AT_ONCE).map(async ({ header, address, cut }) => {
        const link = open(header, cut);
        const said = await link.receive({ signal: AbortSignal.timeout(ANSWERED_WITHIN_MS) }).catch(String);
        if (String(said) !== address) failures.push(`${address} cut at ${cut}: ${String(said)}`);
        await link.close({ deadlineMs: ANSWERED_WITHIN_MS });
      }),
    );
  }
  const note = `of ${splits.length} ${failures[0] ?? ""}`.trim();
  stage.row({ what: "split headers that did not name the client", figure: failures.length, bound: 0, unit: "", note });

  const closed = async (header: Buffer, localAddress: string): Promise<boolean> => {
    const socket = net.connect({ port, host: "127.0.0.1", localAddress }).on("error", () => {});
    const ended = new Promise<boolean>((resolve) => {
      socket.once("close", () => resolve(true));
    });
    socket.resume().write(header);
    const isClosed = await Promise.race([ended, sleep(ANSWERED_WITHIN_MS, false)]);
    socket.destroy();
    return isClosed;
  };
  const wrong = await Promise.all(WRONG.map((header) => closed(header, "127.0.0.1")));
  const kept = wrong.filter((isClosed) => !isClosed).length;
  stage.row({ what: "wrong headers that were let in", figure: kept, bound: 0, unit: "", note: `of ${WRONG.length}` });
  const isUntrustedClosed = await closed(lineHeader(CLIENT), "127.0.0.2");
  stage.row({ what: "connections from elsewhere", figure: isUntrustedClosed ? 0 : 1, bound: 0, unit: "" });
  const { rejected } = await server.call("stats");
  const counted = rejected["proxy protocol"] ?? 0;
  stage.row({ what: "of these counted", figure: counted, bound: WRONG.length + 1, is: "at least", unit: "" });

  // One address is full, and another is not, though all come from one balancer.
  const many = Array.from({ length: limits.connectionsPerAddress }, () => open(lineHeader("203.0.113.8"), 1));
  await Promise.all(many.map((link) => link.connected()));
  const other = open(lineHeader("203.0.113.9"), 1);
  const isLetIn = await other.connected({ signal: AbortSignal.timeout(ANSWERED_WITHIN_MS) }).then(
    () => 0,
    () => 1,
  );
  stage.row({ what: "another address that was refused", figure: isLetIn, bound: 0, unit: "" });
  const { turnedAway: before } = await server.call("stats");
  open(lineHeader("203.0.113.8"), 1);
  const untilMs = performance.now() + ANSWERED_WITHIN_MS;
  let away = 0;
  while (away === 0 && performance.now() < untilMs) {
    await sleep(20);
    const { turnedAway } = await server.call("stats");
    away = (turnedAway["connectionsPerAddress"] ?? 0) - (before["connectionsPerAddress"] ?? 0);
  }
  stage.row({ what: "one too many of the full address", figure: away, bound: 1, is: "at least", unit: "" });
}
