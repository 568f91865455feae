// The socket of a link goes wherever a library asks for one, without a cast.
import http from "node:http";
import http2 from "node:http2";
import type net from "node:net";
import tls from "node:tls";
import { AbstractConnector, Redis } from "ioredis";
import pg from "pg";
import { ConnectionManager, ServerSupervisor } from "resplice";
import ssh2 from "ssh2";
import { WebSocket } from "ws";

const supervisor = new ServerSupervisor({ port: 7000, mode: "bytes", allowHalfOpen: true });
const server = http.createServer();
supervisor.serve((link) => void server.emit("connection", link.socket()));

const manager = new ConnectionManager();
const open = (): net.Socket => manager.open({ port: 7000, mode: "bytes" }).socket();

class LinkAgent extends http.Agent {
  override createConnection(): net.Socket {
    return open();
  }
}

class LinkConnector extends AbstractConnector {
  constructor() {
    super(2_000);
  }

  override connect(): Promise<net.Socket> {
    this.stream = open();
    return Promise.resolve(this.stream);
  }
}

export const clients = [
  http.get({ agent: new LinkAgent({ keepAlive: true }), timeout: 30_000 }),
  http2.connect("http://any-name", { createConnection: open }),
  new WebSocket("ws://any-name/", { createConnection: open }),
  tls.connect({ socket: open(), servername: "far.example" }),
  new ssh2.Client().connect({ sock: open(), username: "somebody" }),
  new pg.Client({ stream: open }),
  new Redis({ Connector: LinkConnector }),
];

const socket = open();
const hadError: boolean = await new Promise((resolve) => void socket.once("close", resolve));
const family: string | undefined = socket.unref().setNoDelay().setTimeout(1_000).remoteFamily;
console.log(hadError, family, socket.readyState);
