/** A client's way to its server, in processes of their own: both ends of the tunnel, or both hops of a plain relay. */
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import type { AddressInfo, Server, Socket } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { topLists } from "../../../bench/profile.ts";
import { certificate } from "../../certificate.ts";
import { freePort, RealStage } from "../../real/stage.ts";
import type { Scenario } from "../../endurance/suite.ts";
import { End, type EndOptions } from "./end.ts";

export type TunnelScenario = Scenario<TunnelStage>;

/** Another one can be tried with the same suite: that of another checkout, for example. */
const COMMAND = process.env["RESPLICE_COMMAND"] ?? fileURLToPath(new URL("../../../src/cli/main.ts", import.meta.url));
const PLAIN_RELAY = fileURLToPath(new URL("plain-relay.ts", import.meta.url));
const TOKEN = "9f2a62c1d0b34f5f8e7cbd5a1e6a4c37";

/** Two processes, and the port at which clients connect to the near one. */
export interface Way {
  readonly port: number;
  readonly near: End;
  readonly far: End;
}

export interface WayOptions {
  /** The server's port on 127.0.0.1. */
  target: number;
  /** Between the two: TLS, and with the tunnel a token. */
  tls: boolean;
  /** Leads to the far end through something that is between the two. Answers the port to be dialled instead. */
  path?: (far: number) => Promise<number>;
  /** More options of the tunnel's ends. */
  nearOptions?: readonly string[];
  farOptions?: readonly string[];
}

export class TunnelStage extends RealStage {
  readonly #profile: boolean;
  #files: Promise<Files> | undefined;

  constructor(scenario: string, percent: number, profile: boolean) {
    super(scenario, percent);
    this.#profile = profile;
    if (profile) this.onClose(() => console.log(topLists(this.folder)));
  }

  async tunnel({ target, tls, path = same, nearOptions = [], farOptions = [] }: WayOptions): Promise<Way> {
    const files = tls ? await this.#secured() : undefined;
    const secured = {
      far: files === undefined ? [] : ["--tls-cert", files.cert, "--tls-key", files.key, "--tokens", files.tokens],
      near: files === undefined ? [] : ["--tls-ca", files.cert, "--token-file", files.token],
    };
    const to = `127.0.0.1:${target}`;
    const farArgs = ["--allow", to, ...secured.far, ...farOptions];
    const far = await this.#end(COMMAND, "far", (port) => ["tunnel", "far", `127.0.0.1:${port}`, ...farArgs]);
    const through = `127.0.0.1:${await path(far.options.port)}`;
    const nearArgs = [through, "--to", to, ...secured.near, ...nearOptions];
    const near = await this.#end(COMMAND, "near", (port) => ["tunnel", "near", `127.0.0.1:${port}`, ...nearArgs]);
    return { port: near.options.port, near, far };
  }

  async plainRelay({ target, tls, path = same }: WayOptions): Promise<Way> {
    const files = tls ? await this.#secured() : undefined;
    const served = files === undefined ? [] : ["--cert", files.cert, "--key", files.key];
    const trusted = files === undefined ? [] : ["--ca", files.cert];
    const far = await this.#end(PLAIN_RELAY, "relay-far", (port) => [`${port}`, `${target}`, ...served]);
    const through = await path(far.options.port);
    const near = await this.#end(PLAIN_RELAY, "relay-near", (port) => [`${port}`, `${through}`, ...trusted]);
    return { port: near.options.port, near, far };
  }

  /** The same command as before, in another process, as soon as that one has ended. */
  async restart(end: End): Promise<End> {
    await end.exited;
    return this.#start(end.options);
  }

  /** The port of 127.0.0.1 at which a server in this process listens until the row is over. */
  async listen(server: Server): Promise<number> {
    const open = new Set<Socket>();
    server.on("connection", (socket: Socket) => {
      socket.on("error", () => {});
      open.add(socket.on("close", () => open.delete(socket)));
    });
    this.onClose(() => {
      server.close();
      for (const socket of open) socket.destroy();
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return (server.address() as AddressInfo).port;
  }

  async #end(program: string, role: string, args: (port: number) => string[]): Promise<End> {
    const port = await freePort();
    const { folder } = this;
    return this.#start({ program, args: args(port), folder, port, role, profile: this.#profile });
  }

  async #start(options: EndOptions): Promise<End> {
    const end = new End(options);
    this.onClose(() => end.stop());
    await end.listening();
    return end;
  }

  #secured(): Promise<Files> {
    this.#files ??= writeFiles(this.folder);
    return this.#files;
  }
}

/** Their paths. */
interface Files {
  cert: string;
  key: string;
  tokens: string;
  token: string;
}

async function writeFiles(folder: string): Promise<Files> {
  const { cert, key } = await certificate();
  const write = (name: string, content: string): string => {
    const path = join(folder, name);
    writeFileSync(path, content, { mode: 0o600 });
    return path;
  };
  return {
    cert: write("cert.pem", cert),
    key: write("key.pem", key),
    tokens: write("tokens", `suite ${TOKEN}\n`),
    token: write("token", `${TOKEN}\n`),
  };
}

async function same(port: number): Promise<number> {
  return port;
}
