import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import client, { Registry } from "prom-client";
import { describe, expect, onTestFinished, test } from "vitest";
import { supervise } from "../../src/index.ts";
import { METRICS } from "../../src/monitor/metric-table.ts";
import { newRegistry, prometheus } from "../../src/monitor/prometheus.ts";
import { NONE_OF_PROCESS } from "../server/overload/support.ts";
import { echo, eventually, manage, pair, receiveText, serve } from "../support.ts";
import { parse, valueOf } from "./prometheus-text.ts";

const INVALID = expect.objectContaining({ code: "INVALID_OPTION" }) as unknown;

describe("the text", () => {
  test("every metric of a manager and of a supervisor, with the numbers of real links", async () => {
    const { supervisor, port } = await serve({}, echo);
    const manager = manage();
    const register = prometheus({ sources: [manager, supervisor] });
    const link = manager.open({ port, host: "127.0.0.1" });
    await link.send("seven b", { until: "accepted" });
    await receiveText(link);
    const families = parse(await register.metrics());
    expect(new Set(families.keys())).toEqual(new Set(METRICS.map(({ name }) => name)));
    for (const { name, type, help } of METRICS) expect(families.get(name)).toMatchObject({ type, help });
    const value = (name: string, labels: Record<string, string>): number | undefined => valueOf(families, name, labels);
    const ends = ["manager", "server"].map((kind) => [
      value("resplice_links", { kind, state: "connected", name: "" }),
      value("resplice_links", { kind, state: "suspect" }),
      value("resplice_sent_bytes_total", { kind }),
      value("resplice_health", { kind, status: "healthy" }),
      value("resplice_health", { kind, status: "down" }),
    ]);
    expect(ends).toEqual([
      [1, 0, 7, 1, 0],
      [1, 0, 7, 1, 0],
    ]);
    expect(value("resplice_limit", { kind: "server", limit: "sessionsPerIdentity" })).toBe(Infinity);
    expect(value("resplice_connections", { kind: "server" })).toBe(1);
    expect(value("resplice_dials_in_flight", { kind: "manager" })).toBe(0);
    // Metrics of the other kind are absent, not 0.
    expect(value("resplice_connections", { kind: "manager" })).toBeUndefined();
    expect(value("resplice_attempts_failed_total", { kind: "server", code: "TIMED_OUT" })).toBeUndefined();
  });

  test("a supervised server has no links, and counts connections and requests", async () => {
    const server = http.createServer((_, response) => void response.end("answer"));
    const supervised = supervise(server, { limits: { connections: 9 } });
    onTestFinished(() => void supervised.close({ deadlineMs: 0 }));
    const register = prometheus({ sources: { site: supervised } });
    await once(server.listen(0, "127.0.0.1"), "listening");
    const { port } = server.address() as AddressInfo;
    await (await fetch(`http://127.0.0.1:${port}/`)).text();
    const families = parse(await register.metrics());
    const value = (name: string, labels = {}): number | undefined =>
      valueOf(families, name, { kind: "supervised", name: "site", ...labels });
    expect([
      value("resplice_requests_total"),
      value("resplice_connections_total"),
      value("resplice_requests"),
      value("resplice_limit", { limit: "connections" }),
      value("resplice_turned_away_total", { limit: "acceptsPerSecond" }),
      value("resplice_health", { status: "healthy" }),
      value("resplice_links", { state: "connected" }),
    ]).toEqual([1, 1, 0, 9, 0, 1, undefined]);
    await supervised.close({ deadlineMs: 0 });
    expect(valueOf(parse(await register.metrics()), "resplice_health", { status: "down" })).toBe(1);
  });

  test("text of strangers is no label: of a reason only the listed ones are shown", async () => {
    const { supervisor, client: link, relay } = await pair({ openPayload: "tenant-7" });
    const register = prometheus({ sources: [supervisor] });
    relay.cut("rst");
    await eventually(() => expect(supervisor.stats().events.connectionsLost).not.toEqual({}));
    const text = await register.metrics();
    expect([text.includes("127.0.0.1"), text.includes("tenant-7"), text.includes(link.id)]).toEqual([
      false,
      false,
      false,
    ]);
    parse(text);
  });

  test("a registry for OpenMetrics, twice", async () => {
    const register = new Registry<typeof Registry.OPENMETRICS_CONTENT_TYPE>();
    register.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
    prometheus({ sources: [manage()], register });
    await register.metrics();
    const text = await register.metrics();
    expect(text).toContain('\nresplice_sent_bytes_total{kind="manager",name=""} 0\n');
    expect(text).toContain("# TYPE resplice_sent_bytes counter\n");
    expect(text.endsWith("# EOF\n")).toBe(true);
  });
});

describe("counters", () => {
  test("rise over links that have ended, and are not reset", async () => {
    const { supervisor, port } = await serve({}, echo);
    const manager = manage();
    const register = new Registry();
    prometheus({ sources: [manager, supervisor], register });
    const counted: Array<Array<number | undefined>> = [];
    for (const text of ["one", "four"]) {
      const link = manager.open({ port, host: "127.0.0.1" });
      await link.send(text);
      await receiveText(link);
      await link.close();
      await eventually(() => expect(supervisor.stats().links.connected).toBe(0));
      register.resetMetrics();
      const families = parse(await register.metrics());
      const of = (kind: string): Array<number | undefined> => [
        valueOf(families, "resplice_sent_bytes_total", { kind }),
        valueOf(families, "resplice_received_bytes_total", { kind }),
        valueOf(families, "resplice_accepted_messages_total", { kind }),
        valueOf(families, "resplice_links_ended_total", { kind, reason: "closed" }),
      ];
      counted.push(of("manager"), of("server"));
    }
    expect(counted).toEqual([
      [3, 3, 1, 1],
      [3, 3, 1, 1],
      [7, 7, 2, 2],
      [7, 7, 2, 2],
    ]);
  });

  test("resources and what is done against overload, of both kinds of server; counts do not fall when it is over", async () => {
    // A name of the application's is escaped.
    const name = 'jobs "urgent"\n';
    const level = { value: 25 };
    const rule = { low: 10, high: 20, dwellMs: 0, leaveMs: 0, read: () => level.value };
    const resources = { ...NONE_OF_PROCESS, custom: { [name]: rule } };
    const { supervisor } = await serve({ resources });
    const server = http.createServer();
    const supervised = supervise(server, { resources });
    onTestFinished(() => void supervised.close({ deadlineMs: 0 }));
    await once(server.listen(0, "127.0.0.1"), "listening");
    const register = prometheus({ sources: [supervisor, supervised] });
    const read = async (): Promise<unknown> => {
      const families = parse(await register.metrics());
      return ["server", "supervised"].map((kind) => {
        const of = { kind, resource: name };
        const action = "refuse-sessions";
        return [
          valueOf(families, "resplice_resource_observed", of),
          valueOf(families, "resplice_resource_high", of),
          valueOf(families, "resplice_resource_limit", of),
          valueOf(families, "resplice_resource_state", { ...of, state: "overloaded" }),
          valueOf(families, "resplice_resource_state", { ...of, state: "normal" }),
          valueOf(families, "resplice_overload_in_force", { ...of, action }),
          valueOf(families, "resplice_overload_actions_total", { ...of, action }),
          valueOf(families, "resplice_overload_actions_total", { ...of, action: "shed" }),
        ];
      });
    };
    const overloaded = [25, 20, undefined, 1, 0, 1, 1, 0];
    await eventually(async () => expect(await read()).toEqual([overloaded, overloaded]));
    level.value = 0;
    const over = [0, 20, undefined, 0, 1, 0, 1, 0];
    await eventually(async () => expect(await read()).toEqual([over, over]));
    await supervised.close();
    expect(await read()).toEqual([over, over]);
  });

  test("a listener of the end sees no count fall", async () => {
    const { supervisor, client: link, server } = await pair();
    const register = prometheus({ sources: [supervisor] });
    await server.send("four");
    const seen: Array<Promise<string>> = [];
    server.on("state", ({ to }) => void (to === "closed" && seen.push(register.metrics())));
    server.on("error", () => void seen.push(register.metrics()));
    link.abort();
    await server.closed;
    const texts = await Promise.all(seen);
    expect(texts.length).toBeGreaterThan(1);
    expect(texts.map((text) => valueOf(parse(text), "resplice_sent_bytes_total"))).toEqual(texts.map(() => 4));
  });

  test("a lost connection that was replaced is in the histogram", async () => {
    const { manager, client: link, relay } = await pair();
    const register = prometheus({ sources: [manager] });
    relay.cut("rst");
    await eventually(() => expect(link.stats().reconnects).toBe(1));
    const families = parse(await register.metrics());
    const count = valueOf(families, "resplice_recovery_seconds_count");
    const sum = valueOf(families, "resplice_recovery_seconds_sum") ?? 0;
    expect([count, valueOf(families, "resplice_recovery_seconds_bucket", { le: "300" })]).toEqual([1, 1]);
    expect(sum).toBeCloseTo((link.stats().recoveryMs ?? 0) / 1_000);
  });
});

describe("registries", () => {
  test("a new one by default, never the global one; a given one keeps what it has", async () => {
    const manager = manage();
    expect(prometheus({ sources: [manager] })).not.toBe(prometheus({ sources: [manager] }));
    expect(client.register.getMetricsAsArray()).toEqual([]);
    const register = new Registry();
    new client.Counter({ name: "mine_total", help: "of the application", registers: [register] }).inc();
    expect(prometheus({ sources: [manager], register })).toBe(register);
    expect(valueOf(parse(await register.metrics()), "mine_total")).toBe(1);
  });

  test("several of a kind by their names; more in a second call; those that are closed leave", async () => {
    const register = new Registry();
    const [first, second] = [manage(), manage()];
    prometheus({ sources: { first, second }, register });
    const names = async (): Promise<string[]> => {
      const family = parse(await register.metrics()).get("resplice_dials_in_flight");
      return (family?.samples ?? []).map(({ labels }) => labels["name"] ?? "");
    };
    expect(await names()).toEqual(["first", "second"]);
    expect(() => prometheus({ sources: { second: manage() }, register })).toThrow(/one manager of this name/u);
    expect(await names()).toEqual(["first", "second"]);
    await second.close();
    // Its counts can still be read.
    expect(await names()).toEqual(["first", "second"]);
    prometheus({ sources: { second: manage(), third: manage() }, register });
    expect(await names()).toEqual(["first", "second", "third"]);
    prometheus({ sources: { again: first }, register });
    expect(await names()).toEqual(["second", "third", "again"]);
    register.clear();
    prometheus({ sources: { again: first }, register });
    expect((await names()).length).toBe(3);
  });

  test("each source is measured once for all metrics of a text, and anew for the next", async () => {
    const manager = manage();
    const register = prometheus({ sources: [manager] });
    let asked = 0;
    manager.health = () => {
      asked++;
      return { status: "down", reasons: [] };
    };
    await register.metrics();
    const text = await register.metrics();
    expect(asked).toBe(2);
    expect(valueOf(parse(text), "resplice_health", { status: "down" })).toBe(1);
  });

  test("JSON, for the aggregation of a cluster", async () => {
    const register = prometheus({ sources: [manage()], register: new Registry() });
    const metrics = await register.getMetricsAsJSON();
    expect(metrics.find(({ name }) => name === "resplice_links")).toMatchObject({ type: "gauge", aggregator: "sum" });
  });
});

describe("refused", () => {
  test.each([
    ["an unknown option", { names: {} }],
    ["a registry that is missing", { register: undefined }],
    ["something else as registry", { register: { metrics: () => "" } }],
    ["no sources", { sources: [] }],
  ])("%s", (_, given) => {
    expect(() => prometheus({ sources: [manage()], ...given } as Parameters<typeof prometheus>[0])).toThrow(INVALID);
  });

  test("a registry that has another metric of such a name", () => {
    const register = new Registry();
    new client.Gauge({ name: "resplice_links", help: "of somebody else", registers: [register] }).set(1);
    const called = (): unknown => prometheus({ sources: [manage()], register });
    expect(called).toThrow(expect.objectContaining({ code: "INVALID_STATE" }));
  });

  test("without prom-client a clear error says what to do", () => {
    const missing = (): never => {
      throw new Error("Cannot find module 'prom-client'");
    };
    expect(() => newRegistry(missing)).toThrow(
      expect.objectContaining({
        code: "NOT_SUPPORTED",
        message: expect.stringContaining("npm install prom-client") as string,
      }),
    );
  });
});
