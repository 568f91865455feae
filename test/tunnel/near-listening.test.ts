import { once } from "node:events";
import net from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { deadSocket } from "../dead-socket.ts";
import { ServerSupervisor } from "../../src/index.ts";
import { LINK_OPTIONS } from "../../src/tunnel/terms.ts";
import { eventually, failure, rawServer, socketPath } from "../support.ts";
import { tunnel } from "./stage.ts";

test("the Unix socket that a killed near end has left is no obstacle", async () => {
  const path = await socketPath();
  await deadSocket(path);
  const target = await rawServer((socket) => socket.pipe(socket));
  const { another } = await tunnel(() => {});
  await another({ forwards: [{ listen: { path }, to: `127.0.0.1:${target}` }] });
  const socket = net.connect(path);
  onTestFinished(() => void socket.destroy());
  socket.write("through a Unix socket");
  expect(String((await once(socket, "data"))[0])).toBe("through a Unix socket");
});

test("a place that is taken, or that cannot be, is said in words", async () => {
  const path = await socketPath();
  const server = net.createServer();
  onTestFinished(() => void server.close());
  await once(server.listen(path), "listening");
  const { another, port } = await tunnel(() => {});
  const to = "127.0.0.1:1";
  const taken = await failure(another({ forwards: [{ listen: { path }, to }] }));
  expect(taken.message).toMatch(/^cannot listen on .*: another process listens there/);
  const portTaken = await failure(another({ forwards: [{ listen: { port, host: "127.0.0.1" }, to }] }));
  expect(portTaken.message).toMatch(/^cannot listen on 127\.0\.0\.1:\d+: another process listens there/);
  const nowhere = await failure(another({ forwards: [{ listen: { path: `${path}/none/x` }, to }] }));
  expect(nowhere.code).toBe("LISTEN_FAILED");
});

test("a far end that sends this near end away is said in words, and is asked again later", async () => {
  const other = new ServerSupervisor({ ...LINK_OPTIONS, port: 0, host: "127.0.0.1" });
  onTestFinished(async () => void (await other.close({ deadlineMs: 0 })));
  other.serve((link) => link.abort("no-tunnel"));
  const { port } = await other.listen();
  const { another, lines } = await tunnel(() => {});
  await another({ far: { port } });
  await eventually(() => expect(lines.map(({ level }) => level)).toContain("error"));
  expect(lines.find(({ level }) => level === "error")?.text).toMatch(/^the far end cannot be used: .*no-tunnel/);
});
