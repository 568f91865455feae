/**
 * What a runtime has to show. Plain programs of the package, without anything else of this repository: each runtime loads
 * this file as it is.
 */
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import type { Duplex } from "node:stream";
import {
  ConnectionManager,
  type Link,
  type OpenOptions,
  ServerSupervisor,
  type ServerSupervisorOptions,
  type Target,
} from "resplice";
import { faultRelay } from "resplice/testing";

const HOST = "127.0.0.1";
const CUTS = 5;
/** Short enough for many of them, and below what a server takes for a storm of dials. */
const QUICK = { minDelayMs: 5, maxDelayMs: 50 };

export interface Played {
  what: string;
  figure: number;
  bound: number;
}

/** What all scenarios are given. `cert` is its own authority, for the host 127.0.0.1. */
export interface Given {
  messages: number;
  bytes: number;
  key: string;
  cert: string;
}

export const SCENARIOS: Readonly<Record<string, (given: Given) => Promise<Played[]>>> = {
  echo,
  cut,
  TLS: tls,
  duplex,
  "hand-over": handOver,
};

async function echo({ messages }: Given): Promise<Played[]> {
  const server = await serving({}, echoing);
  const link = open({ port: server.port });
  const answers = await exchange(link, 0, messages);
  await close(link, server);
  return [inOrder("answers, once and in order", answers, messages)];
}

async function cut({ messages }: Given): Promise<Played[]> {
  const server = await serving({}, echoing);
  const relay = await faultRelay({ host: HOST, port: server.port });
  const link = open({ port: relay.port });
  const answers: string[] = [];
  await link.connected();
  for (let at = 0; at < CUTS; at++) {
    const part = exchange(link, Math.round((at * messages) / CUTS), Math.round(((at + 1) * messages) / CUTS));
    relay.cut(at % 2 === 0 ? "rst" : "fin");
    answers.push(...(await part));
  }
  const { reconnects } = link.stats();
  await close(link, server);
  await relay.close();
  return [
    inOrder("answers across cuts, once and in order", answers, messages),
    { what: "reconnects", figure: reconnects, bound: CUTS },
  ];
}

async function tls({ messages, key, cert }: Given): Promise<Played[]> {
  const server = await serving({ tls: { key, cert } }, echoing);
  const link = open({ port: server.port, tls: { ca: cert } });
  const answers = await exchange(link, 0, messages);
  // Nobody has vouched for the certificate.
  const { error } = await open({ port: server.port, tls: true }).closed;
  await close(link, server);
  return [
    inOrder("answers over TLS, once and in order", answers, messages),
    { what: "unknown certificates refused", figure: Number(error?.code === "CERTIFICATE_INVALID"), bound: 1 },
  ];
}

async function duplex({ bytes }: Given): Promise<Played[]> {
  const sent = randomBytes(bytes);
  let arrived: Buffer = Buffer.alloc(0);
  const server = await serving({ mode: "bytes", allowHalfOpen: true }, async (link) => {
    const stream = link.duplex();
    arrived = await wholeOf(stream);
    stream.end(createHash("sha256").update(arrived).digest("hex"));
  });
  const relay = await faultRelay({ host: HOST, port: server.port });
  relay.cutAfterBytes(Math.round(bytes / 3));
  const link = open({ port: relay.port, mode: "bytes", allowHalfOpen: true });
  const stream = link.duplex();
  stream.end(sent);
  const digest = String(await wholeOf(stream));
  await close(link, server);
  await relay.close();
  const isSame = sent.equals(arrived) && digest === createHash("sha256").update(sent).digest("hex");
  return [{ what: "bytes through a stream and a cut", figure: isSame ? arrived.length : 0, bound: bytes }];
}

/** The first server goes away amid the messages, and the link goes on at the second. */
async function handOver({ messages }: Given): Promise<Played[]> {
  const taken: [first: string[], second: string[]] = [[], []];
  const servers = [];
  for (const each of taken) {
    servers.push(
      await serving({}, async (link) => {
        for await (const message of link) each.push(String(message));
      }),
    );
  }
  const [first, second] = servers as [Server, Server];
  const link = open({ endpoints: [first, second].map(({ port }) => ({ host: HOST, port })) });
  const sendAll = async (from: number, to: number): Promise<void> => {
    for (let at = from; at < to; at++) await link.send(String(at));
  };
  const [half, threeQuarters] = [Math.round(messages / 2), Math.round((messages * 3) / 4)];
  await sendAll(0, half);
  await link.connected();
  const closing = first.supervisor.close({ deadlineMs: 30_000 });
  await sendAll(half, threeQuarters);
  await closing;
  await sendAll(threeQuarters, messages);
  await link.flush();
  await close(link, second);
  return [
    inOrder("messages to both servers, once and in order", taken.flat(), messages),
    { what: "messages to the second server", figure: taken[1].length, bound: messages - threeQuarters },
  ];
}

// What the scenarios share ---------------------------------------------------------------------------------------------

interface Server {
  supervisor: ServerSupervisor;
  port: number;
}

async function serving(
  options: Partial<ServerSupervisorOptions>,
  handler: (link: Link) => Promise<void>,
): Promise<Server> {
  const supervisor = new ServerSupervisor({ port: 0, host: HOST, ...options });
  supervisor.serve(handler);
  const { port } = await supervisor.listen();
  return { supervisor, port };
}

async function echoing(link: Link): Promise<void> {
  for await (const message of link) await link.send(message);
}

const manager = new ConnectionManager();

function open(options: OpenOptions & Target): Link {
  const target = "endpoints" in options ? options : { host: HOST, ...options };
  return manager.open({ reconnect: QUICK, ...target });
}

/** Sends these numbers, and answers what comes back. */
async function exchange(link: Link, from: number, to: number): Promise<string[]> {
  const answers: string[] = [];
  const sending = (async () => {
    for (let at = from; at < to; at++) await link.send(String(at));
  })();
  while (answers.length < to - from) answers.push(String(await link.receive()));
  await sending;
  return answers;
}

/** Not a loop: it destroys a stream that it has read to the end, and this one is still to be written. */
async function wholeOf(stream: Duplex): Promise<Buffer> {
  const chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  await once(stream, "end");
  return Buffer.concat(chunks);
}

async function close(link: Link, { supervisor }: Server): Promise<void> {
  const { error, undelivered } = await link.close();
  if (error !== undefined || undelivered.length > 0) throw error ?? new Error("messages were not delivered");
  await supervisor.close();
}

/** How many of the numbers from 0 are there, each in its place; none if there are others. */
function inOrder(what: string, arrived: readonly string[], bound: number): Played {
  const inPlace = arrived.filter((each, at) => each === String(at)).length;
  return { what, figure: arrived.length === bound ? inPlace : 0, bound };
}
