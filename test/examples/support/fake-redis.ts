/** A server that knows as much of Redis as the tests of examples/redis.ts need. */
import type net from "node:net";
import { command, parse, resp } from "../../../examples/support/resp.ts";
import { rawServer } from "../../support.ts";

export class FakeRedis {
  port = 0;
  readonly values = new Map<string, string>();
  readonly sockets: net.Socket[] = [];
  /** Each command that was run. */
  readonly ran: string[] = [];
  /** In place of an answer to a command of this name; "" for a connection: said when it comes, and then it is closed. */
  readonly refusals = new Map<string, string>();
  readonly #subscribers = new Map<string, Set<net.Socket>>();

  static async start(): Promise<FakeRedis> {
    const redis = new FakeRedis();
    redis.port = await rawServer((socket) => redis.serve(socket));
    return redis;
  }

  serve(socket: net.Socket): void {
    this.sockets.push(socket);
    const greeting = this.refusals.get("");
    if (greeting !== undefined) {
      socket.end(greeting);
      return;
    }
    const decoder = resp.decoder({ maxMessageBytes: 1_048_576 });
    socket.on("data", (chunk: Buffer) => {
      decoder.decode(chunk, (message) => {
        const [name = "", ...args] = (parse(message) as string[]).map(String);
        this.ran.push([name, ...args].join(" "));
        socket.write(this.refusals.get(name) ?? this.#answer(socket, name, args));
      });
    });
  }

  #answer(socket: net.Socket, name: string, [first = "", second = ""]: string[]): string {
    switch (name.toUpperCase()) {
      case "HELLO":
        return "%1\r\n$5\r\nproto\r\n:3\r\n";
      case "PING":
        return "+PONG\r\n";
      case "SET":
        this.values.set(first, second);
        return "+OK\r\n";
      case "GET": {
        const value = this.values.get(first);
        return value === undefined ? "_\r\n" : `$${Buffer.byteLength(value)}\r\n${value}\r\n`;
      }
      case "SUBSCRIBE": {
        const subscribers = this.#subscribers.get(first) ?? new Set();
        this.#subscribers.set(first, subscribers.add(socket));
        return `${push("subscribe", first)}:1\r\n`;
      }
      case "PUBLISH": {
        const subscribers = this.#subscribers.get(first) ?? new Set();
        for (const subscriber of subscribers)
          subscriber.write(`${push("message", first)}$${second.length}\r\n${second}\r\n`);
        return `:${subscribers.size}\r\n`;
      }
      default:
        return `-ERR unknown command '${name}'\r\n`;
    }
  }
}

/** The beginning of a push of three values. */
function push(kind: string, channel: string): string {
  return command([kind, channel]).replace("*2", ">3");
}
