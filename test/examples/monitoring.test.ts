import { expect, test } from "vitest";
import { valueOf, parse } from "../monitor/prometheus-text.ts";
import { manage } from "../support.ts";
import { example } from "./support/program.ts";

test(
  "ready, with metrics, until it is told to go; then it answers that it is not, and ends",
  { timeout: 30_000 },
  async () => {
    const server = example("monitoring", 0, 0);
    const port = await server.port();
    const [, monitorPort = ""] = await server.line(/^monitor on (\d+)$/u);
    const get = async (path: string): Promise<{ status: number; text: string }> => {
      const response = await fetch(`http://127.0.0.1:${monitorPort}${path}`);
      return { status: response.status, text: await response.text() };
    };
    expect((await get("/readyz")).status).toBe(200);
    const link = manage().open({ port, host: "127.0.0.1" });
    await link.send("one", { until: "accepted" });
    await server.line(/^[0-9a-f]{12} connected: new$/u);
    const { text } = await get("/metrics");
    expect(valueOf(parse(text), "resplice_received_messages_total", { kind: "server", name: "echo" })).toBe(1);
    // This end does not take the answer: the server has to wait for it.
    server.process.kill("SIGTERM");
    await server.line(/ draining: /u);
    const drains = await get("/readyz");
    expect([drains.status, JSON.parse(drains.text)]).toMatchObject([
      503,
      { status: "down", sources: [{ name: "echo" }] },
    ]);
    await link.receive();
    await link.close();
    expect(await server.exited).toBe(0);
  },
);
