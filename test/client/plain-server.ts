/** Servers that know nothing of resplice, and plain links to them. */
import type net from "node:net";
import { lines, type OpenPlainOptions, plain, type PlainLink, type PlainOptions } from "../../src/index.ts";
import { Arrivals, manage, QUICK, rawServer } from "../support.ts";

/** A connection of a server that speaks lines. */
export class LineSocket {
  readonly socket: net.Socket;
  readonly lines: Arrivals<string> = new Arrivals();
  #rest = "";

  constructor(socket: net.Socket) {
    this.socket = socket;
    socket.on("error", () => {});
    socket.on("data", this.#onData);
  }

  readonly #onData = (chunk: Buffer): void => {
    const parts = (this.#rest + String(chunk)).split("\n");
    this.#rest = parts.pop() ?? "";
    for (const line of parts) this.lines.put(line);
  };

  /** The caller reads the socket from now on. */
  letGo(): void {
    this.socket.off("data", this.#onData);
  }

  say(...all: string[]): void {
    this.socket.write(all.map((line) => `${line}\n`).join(""));
  }
}

export interface LineServer {
  port: number;
  sockets: Arrivals<LineSocket>;
}

/** `greet` is called with each connection, in the turn in which it comes. */
export async function lineServer(greet: (socket: LineSocket) => void = () => {}): Promise<LineServer> {
  const sockets = new Arrivals<LineSocket>();
  const port = await rawServer((socket) => {
    const line = new LineSocket(socket);
    greet(line);
    sockets.put(line);
  });
  return { port, sockets };
}

export type PlainTerms = Omit<OpenPlainOptions, "protocol"> & { plain?: Partial<PlainOptions> };

/** A plain link of lines to `port` on loopback. */
export function openPlain(port: number, { plain: protocol, ...options }: PlainTerms = {}): PlainLink {
  return manage().open({
    port,
    host: "127.0.0.1",
    reconnect: QUICK,
    ...options,
    protocol: plain({ framing: lines(), ...protocol }),
  });
}
