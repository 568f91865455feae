/** A supervised server in a process of its own, on the Node that is to be tested. */
import { once } from "node:events";
import http from "node:http";
import http2 from "node:http2";
import type { AddressInfo, Server } from "node:net";
import { answerCalls } from "../../bench/calls.ts";
import { supervise, type SuperviseLimits, type SupervisedServer } from "../../src/index.ts";
import { NONE_OF_PROCESS } from "../server/overload/support.ts";

/** An answer takes so long: longer where it has to be under way when the server drains. */
const ANSWER_MS = 2;
const STREAM_MS = 300;

let supervised: SupervisedServer;

function made(kind: "http" | "http2"): Server {
  if (kind === "http2") {
    return http2.createServer((_, response) => void setTimeout(() => response.end("hello"), STREAM_MS));
  }
  const server = http.createServer((_, response) => void setTimeout(() => response.end("hello"), ANSWER_MS));
  return server.on("upgrade", (_, socket) => {
    socket.on("error", () => {});
    socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
    socket.pipe(socket);
  });
}

const commands = {
  listen: async ({ kind, limits }: { kind: "http" | "http2"; limits: SuperviseLimits }): Promise<number> => {
    const running = made(kind);
    // What is shown is the drain: under full load the event loop lags.
    supervised = supervise(running, { limits, resources: NONE_OF_PROCESS });
    running.listen(0, "127.0.0.1", 4_096);
    await once(running, "listening");
    return (running.address() as AddressInfo).port;
  },
  stats: () => supervised.stats(),
  close: (deadlineMs: number) => supervised.close({ deadlineMs }),
};

export type HttpServerCommands = typeof commands;

answerCalls(commands);
