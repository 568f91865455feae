// A Redis client: commands are pipelined, and each has its answer; what is published arrives, also after a cut. A command
// whose connection is lost rejects with `delivery: "maybe"`: the server may have run it. Nobody can know, so the caller
// decides. REDIS_PASSWORD=... if there is one:
//
//     npm run example -- examples/redis.ts 6379        and type: set greeting hello, get greeting, subscribe news
import { createInterface } from "node:readline";
import { inspect } from "node:util";
import {
  ConnectionManager,
  type LoginConnection,
  type Message,
  MiB,
  type OpenPlainOptions,
  plain,
  type PlainLink,
  type RequestOptions,
  RespliceError,
} from "resplice";
import { command, parse, RedisError, type Reply, resp } from "./support/resp.ts";

/** Those of any plain link, such as `tls` and `timeouts`, and these. */
export interface RedisOptions extends Omit<OpenPlainOptions, "protocol"> {
  port: number;
  host?: string;
  /** Asked for each connection: a password that has changed is used for the next one. */
  password?: () => string | Promise<string>;
  /** Commands that may wait for their answers at once. Fewer: less is in doubt after a loss. Default 1,000. */
  maxInFlight?: number;
  /** Called with each message that the server sends unasked: ["message", channel, text], ["invalidate", keys]. */
  onPush?: (push: Reply) => void;
}

/** The login is refused for good. After any other error (LOADING, "max number of clients reached") it is tried again. */
const FATAL = new Set(["WRONGPASS", "NOAUTH", "NOPERM", "NOPROTO", "DENIED"]);
/** Answers a command of ours, though it is written as a push. */
const SUBSCRIBED = /^>3\r\n\$\d+\r\np?(un)?subscribe\r\n/;

export class Redis {
  /** For its events, its state and its figures. */
  readonly link: PlainLink;
  readonly #password: RedisOptions["password"];
  readonly #onPush: (push: Reply) => void;
  readonly #channels = new Set<string>();

  constructor(
    manager: ConnectionManager,
    { password, maxInFlight = 1_000, onPush = () => {}, ...options }: RedisOptions,
  ) {
    this.#password = password;
    this.#onPush = onPush;
    this.link = manager.open({
      maxMessageBytes: 64 * MiB, // of a value that is read or written; Redis itself allows 512 MiB
      ...options,
      protocol: plain({
        framing: resp,
        login: (connection) => this.#logIn(connection),
        requests: { classify, maxInFlight },
        probe: { message: command(["PING"]) },
        reconnectWhen: isReadonly,
      }),
    });
    this.link.onMessage((push) => this.#onPush(parse(push)));
  }

  /**
   * Resolves with the answer, or rejects: a RedisError is the server's, a RespliceError says by its `delivery` what is
   * known. Many calls at once are pipelined. A command that blocks (BLPOP) holds up all others, and PING: give it a
   * client of its own, with `keepalive.deadAfterMs` and `timeouts.answerMs` beyond the time that it may take.
   */
  async call(args: readonly string[], options?: RequestOptions): Promise<Reply> {
    const reply = parse(await this.link.request(command(args), options));
    if (reply instanceof RedisError) throw reply;
    return reply;
  }

  /** Once it has resolved, on each connection. Messages that are published while there is none are lost: Redis keeps none. */
  async subscribe(channel: string): Promise<void> {
    await this.call(["SUBSCRIBE", channel]);
    this.#channels.add(channel);
  }

  async unsubscribe(channel: string): Promise<void> {
    this.#channels.delete(channel);
    await this.call(["UNSUBSCRIBE", channel]);
  }

  /** On each new connection, before anything else is sent on it. */
  async #logIn(connection: LoginConnection): Promise<void> {
    const password = await this.#password?.();
    const auth = password === undefined ? [] : ["AUTH", "default", password];
    // While the server loads its data it answers HELLO, but not PING.
    const commands = [["HELLO", "3", ...auth], ["PING"]];
    for (const channel of this.#channels) commands.push(["SUBSCRIBE", channel]);
    for (const args of commands) connection.send(command(args));
    for (let answers = 0; answers < commands.length;) {
      const message = await connection.receive();
      const reply = parse(message);
      if (reply instanceof RedisError) {
        throw FATAL.has(reply.code) ? new RespliceError("LOGIN_REFUSED", reply.message) : reply;
      }
      if (classify(message) === "answer") answers++;
      else this.#onPush(reply);
    }
  }
}

/** We write to what has become a replica: the name may lead to another server by now. */
function isReadonly(message: Message): boolean {
  return message[0] === "-".charCodeAt(0) && message.toString("latin1", 0, 10) === "-READONLY ";
}

function classify(message: Message): "answer" | "push" {
  return message[0] === ">".charCodeAt(0) && !SUBSCRIBED.test(message.toString("latin1", 0, 40)) ? "push" : "answer";
}

if (import.meta.main) await main(Number(process.argv[2] ?? 6379));

async function main(port: number): Promise<void> {
  const manager = new ConnectionManager();
  const password = process.env["REDIS_PASSWORD"];
  const redis = new Redis(manager, {
    port,
    ...(password !== undefined && { password: () => password }),
    onPush: (push) => console.log("pushed:", inspect(push)),
  });
  const input = createInterface({ input: process.stdin });
  redis.link.on("state", ({ to, reason }) => console.error(`${to}: ${reason}`));
  redis.link.on("error", (error) => {
    console.error(`${error.code}: ${error.message}`);
    process.exitCode = 1;
    input.close();
  });
  for await (const line of input) void run(redis, line); // the next command does not wait for this one's answer
  await manager.close();
}

async function run(redis: Redis, line: string): Promise<void> {
  const [name = "", ...args] = line.split(" ");
  try {
    if (name.toLowerCase() === "subscribe") await redis.subscribe(args[0] ?? "");
    else console.log(`${line}: ${inspect(await redis.call([name, ...args]))}`);
  } catch (error) {
    const { message } = error as Error;
    console.log(`${line}: ${error instanceof RespliceError ? `${error.delivery}, ${error.code}` : message}`);
  }
}
