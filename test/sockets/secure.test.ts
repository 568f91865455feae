// TLS and SSH within a link, both by libraries that take any socket.
import { once } from "node:events";
import tls from "node:tls";
import { buffer } from "node:stream/consumers";
import { expect, onTestFinished, test } from "vitest";
import ssh2 from "ssh2";
import { certificate } from "../support.ts";
import { HALF_OPEN, LARGE, stage } from "./stage.ts";

test("tls", async () => {
  const { key, cert } = await certificate();
  const server = tls.createServer({ key, cert }, (socket) => socket.pipe(socket));
  const { open, cut, links } = await stage((socket) => void server.emit("connection", socket), HALF_OPEN);
  const socket = tls.connect({ socket: open(), ca: cert, servername: "localhost" });
  await once(socket, "secureConnect");
  expect(socket.authorized).toBe(true);
  cut();
  socket.end(LARGE);
  const echoed = buffer(socket);
  cut();
  expect((await echoed).equals(LARGE)).toBe(true);
  expect((await links[0]?.closed)?.error).toBeUndefined();
});

test("ssh2", async () => {
  const { private: hostKey } = ssh2.utils.generateKeyPairSync("ed25519");
  const server = new ssh2.Server({ hostKeys: [hostKey] }, (client) => {
    client.on("authentication", (context) => context.accept());
    client.on("error", () => {});
    client.on("session", (accept) => {
      accept().on("exec", (acceptExec) => {
        const channel = acceptExec();
        channel.pipe(channel);
        channel.on("end", () => channel.exit(0));
      });
    });
  });
  const { open, cut, links } = await stage((socket) => server.injectSocket(socket));
  const client = new ssh2.Client();
  onTestFinished(() => void client.destroy());
  client.connect({ sock: open(), username: "somebody", password: "secret" });
  await once(client, "ready");
  cut();
  const channel = await new Promise<ssh2.ClientChannel>((resolve, reject) => {
    client.exec("cat", (error, opened) => (error === undefined ? resolve(opened) : reject(error)));
  });
  channel.end(LARGE);
  cut();
  expect((await buffer(channel)).equals(LARGE)).toBe(true);
  client.end();
  await once(client, "close");
  expect((await links[0]?.closed)?.error).toBeUndefined();
});
