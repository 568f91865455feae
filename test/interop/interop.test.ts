/** Another implementation, in Python and written from docs/protocol.md alone, talks to the server: the page is complete. */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { type Link, type LinkReport, ServerSupervisor, type ServerSupervisorOptions } from "../../src/index.ts";

const CLIENT = fileURLToPath(new URL("client.py", import.meta.url));
const VECTORS = fileURLToPath(new URL("../../docs/protocol-vectors.json", import.meta.url));
/** Of the messages, 2.2 MB: empty, in a few frames, and of more than one frame may have. */
const SIZES: number[] = Array.from({ length: 30 }, () => [0, 1, 5, 300, 4_096, 70_000]).flat();
/** One connection each, see client.py. */
const CUTS = [
  "half:HELLO:0",
  "wrote:HELLO:0",
  "read:WELCOME:0",
  "half:CONFIRM:0",
  "wrote:CONFIRM:0",
  "half:DATA:0",
  "half:DATA:5000",
  "inside:DATA:0",
  "inside:DATA:70000",
  "wrote:DATA:100000",
  "read:DATA:50000",
  "half:DATA+end:0",
  "wrote:DATA+end:0",
  "read:DATA+end:0",
];

/** What client.py prints when all is well. */
interface Report {
  vectors: number;
  sha256: string;
  sessionId: string;
  connections: number;
  cuts: string[];
  lost: string[];
  welcomes: number[];
  /** What HELLO states as received, on each connection. */
  stated: number[];
  forgotten: boolean;
  duplicates: number;
  resent: number;
  pings: number;
  pongs: number;
  largest: number;
  resumeForMs: number;
}

interface Served {
  port: number;
  links: Link[];
  messages: Buffer[];
  /** The first link's end. */
  closed: Promise<LinkReport>;
  /** Resolves to the links that were left. */
  close: () => Promise<number>;
}

async function echoServer(options: ServerSupervisorOptions = {}): Promise<Served> {
  const links: Link[] = [];
  const messages: Buffer[] = [];
  const supervisor = new ServerSupervisor({
    port: 0,
    host: "127.0.0.1",
    maxMessageBytes: 80_000,
    window: { minBytes: 80_004, maxBytes: 131_072 },
    authenticate: ({ credentials }) => (String(credentials) === "let me in" ? "python" : null),
    ...options,
  });
  onTestFinished(async () => void (await supervisor.close({ deadlineMs: 0 })));
  const closed = new Promise<LinkReport>((resolve) => {
    supervisor.serve(async (link) => {
      links.push(link);
      void link.closed.then(resolve);
      for await (const message of link) {
        messages.push(Buffer.from(message));
        await link.send(message);
      }
    });
  });
  const { port } = await supervisor.listen();
  return { port, links, messages, closed, close: async () => (await supervisor.close()).left };
}

async function runClient(port: number, ...args: string[]): Promise<Report> {
  const client = spawn("python3", [CLIENT, String(port), "--vectors", VECTORS, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  onTestFinished(() => void client.kill("SIGKILL"));
  const exit = once(client, "close").catch((error: unknown) => {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ENOENT") throw error;
    throw new Error("python3 is not there: install Python 3.9 or later, for example with `apt-get install python3`");
  });
  const [[status], stdout, stderr] = await Promise.all([exit, text(client.stdout), text(client.stderr)]);
  if (status !== 0) throw new Error(`client.py ended with ${String(status)}:\n${stderr}`);
  return JSON.parse(stdout) as Report;
}

const sizes = (of: number[] = SIZES): string[] => ["--sizes", ...of.map(String)];

/** Of the log that these messages make. */
function sha256(messages: Buffer[], mode: string): string {
  const hash = createHash("sha256");
  for (const message of messages) {
    const prefix = Buffer.alloc(mode === "messages" ? 4 : 0);
    if (mode === "messages") prefix.writeUInt32BE(message.length);
    hash.update(prefix).update(message);
  }
  return hash.digest("hex");
}

test.each(["messages", "bytes"] as const)("mode %s: all is echoed once and in order over many cuts", async (mode) => {
  const served = await echoServer({ mode });
  const report = await runClient(served.port, "--mode", mode, ...sizes(), "--cut", ...CUTS);

  // The client has compared the echo with what it sent. This is what the server's application saw.
  expect(sha256(served.messages, mode)).toBe(report.sha256);
  if (mode === "messages") expect(served.messages.map(({ length }) => length)).toEqual(SIZES);
  expect(report).toMatchObject({ cuts: CUTS, lost: [], connections: CUTS.length + 1, largest: 80_000 });
  // One open after two connections without a WELCOME, then nothing but resumes: of a provisional session at first.
  expect(report.welcomes).toEqual([0, ...Array.from({ length: CUTS.length - 2 }, () => 1)]);
  expect(report.resent).toBeGreaterThan(0);
  expect(report.duplicates).toBeGreaterThan(0);
  expect(report.pongs).toBeGreaterThan(0);

  expect(served.links).toHaveLength(1);
  expect(served.links[0]?.sessionId).toBe(report.sessionId);
  expect(served.links[0]?.identity).toBe("python");
  expect(String(served.links[0]?.openPayload)).toBe("tenant 7");
  expect(served.links[0]?.stats().reconnects).toBeGreaterThan(0);
  expect(await served.closed).toEqual({ undelivered: [] });
  expect(await served.close()).toBe(0);
});

test("connections that do not last for a frame bring it all the same, piece by piece", async () => {
  const served = await echoServer({ mode: "bytes" });
  const cuts = Array.from({ length: 6 }, () => "inside:DATA:0");
  const { stated, lost } = await runClient(served.port, "--mode", "bytes", ...sizes([20_000]), "--cut", ...cuts);
  expect(lost).toEqual([]);
  // Each but one that was cut in the header has brought something new, though no frame was whole.
  expect(stated).toEqual(stated.toSorted((a, b) => a - b));
  expect(new Set(stated).size).toBeGreaterThan(4);
  expect(await served.closed).toEqual({ undelivered: [] });
});

test("every vector is decoded and encoded", async () => {
  const { port } = await echoServer();
  const { vectors } = JSON.parse(readFileSync(VECTORS, "utf8")) as { vectors: unknown[] };
  expect(await runClient(port, ...sizes([]))).toMatchObject({ vectors: vectors.length, connections: 1 });
});

test("a client that is refused reads why, and that it is refused", async () => {
  const { port } = await echoServer({ authenticate: () => ({ refused: "née in the wrong year" }) });
  await expect(runClient(port, ...sizes([]))).rejects.toThrow(/'code': 2, 'retry_after': 0\}, née in the wrong year/u);
});

test("a PING is answered, and the connection lasts", async () => {
  const served = await echoServer({ keepalive: { pingAfterMs: 20, suspectAfterMs: 5_000 } });
  const report = await runClient(served.port, ...sizes([5]), "--pings", "3");
  expect(report).toMatchObject({ connections: 1, lost: [], pongs: 1 });
  expect(report.pings).toBeGreaterThanOrEqual(3);
  expect(await served.closed).toEqual({ undelivered: [] });
});

test.each(["half", "wrote"])("a client whose `done` was cut (%s) comes back for the server's", async (where) => {
  const served = await echoServer();
  const report = await runClient(served.port, ...sizes([5, 300]), "--cut", `${where}:ACK+done:0`);
  expect(report).toMatchObject({ lost: [], connections: 2 });
  // Half an ACK is none: the server waits for the client. A whole one may have been all that it waited for.
  if (where === "half") expect(report).toMatchObject({ forgotten: false, welcomes: [0, 1] });
  expect(served.links).toHaveLength(1);
  expect(await served.closed).toEqual({ undelivered: [] });
  expect(await served.close()).toBe(0);
});
