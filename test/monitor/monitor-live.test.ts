/** The live page over HTTP, of real links. */
import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { monitor, type MonitorOptions } from "../../src/index.ts";
import { MOST_VIEWERS } from "../../src/monitor/live/live-page.ts";
import type { Frame } from "../../src/monitor/live/messages.ts";
import { eventually, manage, pair, runToExit, serve } from "../support.ts";
import { frameOf, messagesOf } from "./live/stand-ins.ts";

async function watch(sources: MonitorOptions["sources"]): Promise<number> {
  const watched = monitor({ port: 0, sources });
  onTestFinished(() => void watched.close());
  return (await watched.listening()).port;
}

class Viewer {
  readonly response: http.IncomingMessage;
  readonly closed: Promise<unknown>;
  text = "";

  constructor(response: http.IncomingMessage) {
    this.response = response;
    this.closed = once(response, "close");
    response.setEncoding("utf8").on("data", (chunk: string) => {
      this.text += chunk;
    });
    response.on("error", () => {});
    onTestFinished(() => void response.destroy());
  }

  get frame(): Frame {
    return frameOf(messagesOf(this.text));
  }

  get events(): string[] {
    return messagesOf(this.text).map(({ event }) => event);
  }
}

async function view(port: number, query = "", headers: http.OutgoingHttpHeaders = {}): Promise<Viewer> {
  const request = http.get({ host: "127.0.0.1", port, path: `/events?${query}`, agent: false, headers });
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  return new Viewer(response);
}

test("both ends of a link are seen, their cut, and their recovery", async () => {
  const { supervisor, manager, client, server, relay } = await pair();
  const viewer = await view(await watch({ upstream: manager, edge: supervisor }));
  expect([viewer.response.statusCode, viewer.response.headers["content-type"]]).toEqual([
    200,
    "text/event-stream; charset=utf-8",
  ]);
  await eventually(() => expect(viewer.events).toEqual(["whole"]));
  const { sources, links } = viewer.frame;
  expect([sources["0"], sources["1"]]).toMatchObject([
    { kind: "manager", name: "upstream", status: "healthy", figures: { links: 1, connected: 1 } },
    { kind: "server", name: "edge", status: "healthy", figures: { links: 1, connected: 1 } },
  ]);
  expect(links.order.map((key) => links.rows[key])).toMatchObject([
    { id: client.id, source: 0, state: "connected", peer: `127.0.0.1:${relay.port}`, cuts: [] },
    { id: server.id, source: 1, state: "connected", address: "127.0.0.1", cuts: [] },
  ]);
  relay.cut("rst");
  await eventually(() => {
    const rows = Object.values(viewer.frame.links.rows);
    expect(rows).toMatchObject(
      rows.map(() => ({
        state: "connected",
        reconnects: 1,
        cuts: [expect.any(Number)],
        recoveryMs: expect.any(Number),
      })),
    );
  });
  expect(viewer.events.slice(1)).not.toContain("whole");
  const told = Object.values(viewer.frame.happened).map(({ text }) => text);
  expect(told).toEqual(expect.arrayContaining([expect.stringMatching(/^connected again after \d+ ms$/u)]));
});

test("nothing secret is told: no credentials, claims, open payloads or messages", async () => {
  const { supervisor, port, links } = await serve({
    authenticate: ({ credentials }) => ({
      identity: "mallory\u202e<img>",
      claims: { role: `claim-${credentials.length}` },
    }),
  });
  const manager = manage();
  const link = manager.open({
    port,
    host: "127.0.0.1",
    credentials: () => "secret-credentials",
    openPayload: "secret-payload",
  });
  await link.send("secret-message");
  await links.next();
  const viewer = await view(await watch([manager, supervisor]));
  await eventually(() => expect(viewer.frame.links.order).toHaveLength(2));
  expect(viewer.text).not.toMatch(/secret|claim-|\u202e/u);
  expect(viewer.frame.links.rows["2"]?.peer).toBe("mallory\\u202e<img>");
});

test("a filter is the server's: what is not asked for is not sent", async () => {
  const { port } = await serve();
  const manager = manage();
  const [first] = Array.from({ length: 5 }, () => manager.open({ port, host: "127.0.0.1" }));
  await manager.connected();
  const watched = await watch([manager]);
  const viewer = await view(watched, `filter=${first?.id}`);
  await eventually(() => expect(viewer.frame.links).toMatchObject({ total: 5, matching: 1, order: [1] }));
  expect((await view(watched, "order=nonsense")).response.statusCode).toBe(400);
});

test("a page of another name, and one of another site, are refused", async () => {
  const port = await watch([manage()]);
  const statuses = [{ host: "evil.example" }, { "sec-fetch-site": "cross-site" }, { "sec-fetch-site": "same-origin" }];
  const answered = await Promise.all(
    statuses.map(async (headers) => (await view(port, "", headers)).response.statusCode),
  );
  expect(answered).toEqual([403, 403, 200]);
});

test("so many viewers at most; they do not give way to requests, and requests not to them", async () => {
  const port = await watch([manage()]);
  const viewers = [];
  for (let number = 0; number < MOST_VIEWERS; number++) viewers.push(await view(port));
  expect((await view(port)).response.statusCode).toBe(503);
  const silent = Array.from({ length: 40 }, () => net.connect(port, "127.0.0.1").on("error", () => {}));
  onTestFinished(() => silent.forEach((socket) => void socket.destroy()));
  await eventually(() => expect(silent.some(({ closed }) => closed)).toBe(true));
  expect((await (await fetch(`http://127.0.0.1:${port}/readyz`)).text()).length).toBeGreaterThan(0);
  expect(viewers.map(({ response }) => response.destroyed)).toEqual(viewers.map(() => false));
  viewers[0]?.response.destroy();
  await eventually(async () => expect((await view(port)).response.statusCode).toBe(200));
});

test("the end of the sources ends the events", async () => {
  const manager = manage();
  const viewer = await view(await watch([manager]));
  await eventually(() => expect(viewer.events).toHaveLength(1));
  await manager.close();
  await viewer.closed;
});

test("a viewer keeps no process alive", async () => {
  const program = `
    import http from "node:http";
    import { once } from "node:events";
    const { port } = await resplice.monitor({ port: 0, sources: [new resplice.ConnectionManager()] }).listening();
    const request = http.get({ host: "127.0.0.1", port, path: "/events", agent: false });
    const [response] = await once(request, "response");
    await once(response, "data");
    console.log(response.statusCode);
    request.socket.unref();
  `;
  expect(await runToExit(program)).toBe("200");
});
