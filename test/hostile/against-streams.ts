/** Byte streams that are cut short between two processes: what has come is whole, or its application hears that it is not. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { MiB } from "../../src/index.ts";
import type { Child } from "../endurance/child.ts";
import { NEVER_MS } from "./healthy.ts";
import type { PayloadCommands } from "./payload-process.ts";
import type { Attack, Stage } from "./stage.ts";
import type { CutShort, Outcome, StreamCommands } from "./stream-process.ts";

const WHOLE_BYTES = 64 * MiB;
const EVENTS_BYTES = 12.5 * MiB;
const ANSWER_BYTES = 40 * MiB;
const FRAMES = 20;
const KIB = 1_024;
const SIDECAR_BYTES = 500 * MiB;
const SIDECAR_FAILS_AFTER_BYTES = 36 * MiB;

export const AGAINST_STREAMS: Attack[] = [
  ...(["abort", "close", "manager.close"] as const).map((cutShort): Attack => ({
    name: `download-${cutShort}`,
    about: `${cutShort}() in the midst of a download of 64 MiB`,
    run: (stage) => download(stage, "download", WHOLE_BYTES, cutShort),
  })),
  {
    name: "upload-supervisor.close",
    about: "supervisor.close() in the midst of an upload of 64 MiB",
    run: upload,
  },
  {
    name: "events-download",
    about: "an async handler that hands its stream to event code and returns: 12.5 MiB down",
    run: (stage) => download(stage, "download-by-events", EVENTS_BYTES, "no"),
  },
  {
    name: "events-upload",
    about: "the same, 12.5 MiB up",
    async run(stage) {
      const { server, client, port } = await streams(stage);
      const sent = await client.call("upload", { port, wish: "upload-by-events", bytes: EVENTS_BYTES });
      await judge(stage, server, "server", await server.call("served"), EVENTS_BYTES, true);
      stage.row({ what: "client told", figure: sent.told === "whole" ? 0 : 1, bound: 0, unit: "", note: sent.told });
    },
  },
  {
    name: "answer",
    about: "allowHalfOpen: false, and an answer of 40 MiB to a request that has ended",
    run: (stage) => download(stage, "answer", ANSWER_BYTES, "no"),
  },
  ...[
    { frameKiB: 50, cut: false, encoding: false },
    { frameKiB: 50, cut: true, encoding: false },
    { frameKiB: 300, cut: false, encoding: false },
    { frameKiB: 150, cut: true, encoding: false },
    { frameKiB: 150, cut: false, encoding: true },
  ].map(({ frameKiB, cut, encoding }): Attack => ({
    name: `read-${frameKiB}${cut ? "-cut" : ""}${encoding ? "-encoding" : ""}`,
    about: `read(n) in frames of ${frameKiB} KiB${cut ? ", and a cut within one" : ""}${encoding ? ", with setEncoding()" : ""}`,
    run: (stage) => frames(stage, frameKiB * KIB, cut, encoding),
  })),
  {
    name: "unread",
    about: "a stream that nobody reads, whose link ends with an error",
    async run(stage) {
      const { client, port } = await streams(stage);
      const heard = await client.call("unread", { port });
      const note = `heard: ${heard.join(", ") || "nothing"}`;
      stage.row({ what: "error and close", figure: new Set(heard).size, bound: 2, is: "at least", unit: "", note });
    },
  },
  {
    name: "destroy-unread",
    about: "destroy() with data unread and the end behind it: the peer hears of it",
    async run(stage) {
      const { server, client, port } = await streams(stage, { allowHalfOpen: true });
      await client.call("destroyUnread", { port });
      const { told } = await server.call("served");
      const isWrong = told === "nothing" || told === "whole";
      stage.row({ what: "peer misled", figure: isWrong ? 1 : 0, bound: 0, unit: "", note: `it was told ${told}` });
    },
  },
  {
    name: "abort-crosses-done",
    about: "aborts that cross the peer's last word, then supervisor.close({ deadlineMs: 0 })",
    async run(stage) {
      const { server, client, port } = await streams(stage);
      await client.call("crossing", { port, times: 50 });
      const figure = await server.call("closeSupervisor", 0);
      stage.row({ what: "close() took", figure, bound: 1_000, unit: "ms" });
    },
  },
  {
    name: "transferred",
    about: "payloads and messages whose ArrayBuffer was transferred away",
    run: transferred,
  },
  {
    name: "sidecar",
    about: "examples/sidecar.ts: its target resets after 36 of 500 MiB",
    run: sidecar,
  },
];

async function streams(
  stage: Stage,
  options: { allowHalfOpen?: boolean } = {},
): Promise<{ server: Child<StreamCommands>; client: Child<StreamCommands>; port: number }> {
  const server = stage.child<StreamCommands>(new URL("stream-process.ts", import.meta.url), "the server");
  const client = stage.child<StreamCommands>(new URL("stream-process.ts", import.meta.url), "the client");
  return { server, client, port: await server.call("serve", options) };
}

/** Either all of it is here, or its application was told that it is not. */
async function judge(
  stage: Stage,
  peer: Child<StreamCommands>,
  who: string,
  { told, bytes, sha256 }: Outcome,
  wholeBytes: number,
  mustBeWhole = false,
): Promise<void> {
  const isWhole = bytes === wholeBytes && sha256 === (await peer.call("digest", wholeBytes));
  // To be left waiting is no way of being told.
  const isHonest = isWhole ? told === "whole" : told !== "whole" && told !== "nothing" && !mustBeWhole;
  const share = `${(bytes / MiB).toFixed(1)} of ${(wholeBytes / MiB).toFixed(1)} MiB`;
  stage.row({
    what: `${who} misled`,
    figure: isHonest ? 0 : 1,
    bound: 0,
    unit: "",
    note: `told ${told}; ${share}${bytes === wholeBytes && !isWhole ? ", another SHA-256" : ""}`,
  });
}

async function download(stage: Stage, wish: string, bytes: number, cutShort: CutShort): Promise<void> {
  const { server, client, port } = await streams(stage);
  const outcome = await client.call("download", { port, wish, bytes, cutShort });
  // Where nobody cuts it short, it must arrive.
  await judge(stage, server, "reader", outcome, bytes, cutShort === "no");
}

async function upload(stage: Stage): Promise<void> {
  const { server, client, port } = await streams(stage);
  const sent = client.call("upload", { port, wish: "upload", bytes: WHOLE_BYTES });
  await server.call("servedBytes", 5 * MiB);
  const served = server.call("served");
  await server.call("closeSupervisor", 300);
  await judge(stage, client, "server", await served, WHOLE_BYTES);
  const { told } = await sent;
  const isWrong = told === "whole" || told === "nothing";
  stage.row({ what: "client misled", figure: isWrong ? 1 : 0, bound: 0, unit: "", note: `told ${told}` });
}

async function frames(stage: Stage, frameBytes: number, cut: boolean, encoding: boolean): Promise<void> {
  const { server, client, port } = await streams(stage);
  const relay = await stage.relay(port);
  // Within a frame, and not at the edge of what one window holds.
  if (cut) for (const frame of [2, 5]) relay.cutAfterBytes((frame + 0.5) * frameBytes, { direction: "to-client" });
  const bytes = FRAMES * frameBytes;
  const outcome = await client.call("frames", { port: relay.port, frameBytes, bytes, encoding });
  await judge(stage, server, "reader", outcome, bytes, true);
}

async function transferred(stage: Stage): Promise<void> {
  const process = stage.child<PayloadCommands>(new URL("payload-process.ts", import.meta.url), "the process");
  const found = await process.call("run");
  const note = `send() said ${found.said.join(", ")}`;
  stage.row({ what: "messages never sent", figure: found.strangers, bound: 0, unit: "", note });
  stage.row({ what: "uncaught exceptions", figure: found.uncaught, bound: 0, unit: "" });
  stage.row({ what: "neighbours damaged", figure: found.damaged, bound: 0, unit: "", note: found.transfer });
}

/** A client, the near end, the far end, and a target that fails: a plain TCP client must see that as a failure. */
async function sidecar(stage: Stage): Promise<void> {
  const piece = Buffer.alloc(65_536, 5);
  const target = net.createServer((socket) => {
    socket.on("error", () => {});
    let sent = 0;
    const write = (): void => {
      while (sent < SIDECAR_BYTES && !socket.destroyed) {
        sent += piece.length;
        const hasRoom = socket.write(piece);
        if (sent >= SIDECAR_FAILS_AFTER_BYTES) socket.resetAndDestroy();
        if (!hasRoom) return;
      }
    };
    socket.on("drain", write);
    write();
  });
  target.listen(0, "127.0.0.1");
  await once(target, "listening");
  const at = `127.0.0.1:${(target.address() as net.AddressInfo).port}`;
  const ends: ChildProcess[] = [];
  try {
    const farPort = await example(ends, "far", "0", at);
    const nearPort = await example(ends, "near", "0", farPort, at);
    const client = net.connect({ port: Number(nearPort), host: "127.0.0.1" });
    let bytes = 0;
    client.on("data", (chunk) => void (bytes += chunk.length));
    const timer = setTimeout(() => client.destroy(), NEVER_MS);
    const how = await new Promise<string>((resolve) => {
      client.once("end", () => resolve("an end"));
      client.once("error", (error) => resolve((error as NodeJS.ErrnoException).code ?? error.message));
      client.once("close", () => resolve("nothing"));
    });
    clearTimeout(timer);
    client.destroy();
    const note = `it saw ${how} after ${(bytes / MiB).toFixed(1)} of ${SIDECAR_BYTES / MiB} MiB`;
    const isMisled = how === "an end" || how === "nothing";
    stage.row({ what: "client misled", figure: isMisled ? 1 : 0, bound: 0, unit: "", note });
  } finally {
    for (const end of ends) end.kill("SIGKILL");
    target.close();
  }
}

/** As its users run it, on this repository's sources. Answers the port on which it listens. */
async function example(ends: ChildProcess[], ...args: string[]): Promise<string> {
  const resolve = new URL("../examples/support/resolve.ts", import.meta.url).href;
  const program = fileURLToPath(new URL("../../examples/sidecar.ts", import.meta.url));
  const end = spawn(process.execPath, ["--import", resolve, program, ...args], { stdio: ["ignore", "pipe", "ignore"] });
  ends.push(end);
  for await (const line of createInterface({ input: end.stdout })) {
    const port = /^listening on (\d+)$/u.exec(line)?.[1];
    if (port !== undefined) return port;
  }
  throw new Error(`sidecar ${args[0]} has ended`);
}
