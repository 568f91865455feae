// The calls that are made for a proxy, with a stand-in for the server. The real one is for the chaos tests.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { ToxiproxyProxy } from "../../../src/cli/toxiproxy/proxy.ts";
import { unusedPort } from "../../support.ts";

const FIELDS = { name: "p", listen: "127.0.0.1:1", upstream: "127.0.0.1:2" };

/** Keeps what it is asked; answers `status`. */
async function standIn(status: number, answer = "{}"): Promise<{ url: string; asked: unknown[] }> {
  const asked: unknown[] = [];
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => (body += chunk.toString()));
    request.on("end", () => {
      asked.push([request.method, request.url, ...(body === "" ? [] : [JSON.parse(body) as unknown])]);
      response.writeHead(status).end(answer);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

test("a proxy is made disabled, given toxics, enabled and removed", async () => {
  const { url, asked } = await standIn(200);
  const proxy = await ToxiproxyProxy.create(url, FIELDS);
  await proxy.addToxic("slow", "latency", "upstream", { latency: 5 });
  await proxy.addToxic("idle", "reset_peer", "downstream", { timeout: 0 }, 0);
  await proxy.updateToxic("slow", { latency: 50 });
  await proxy.enable(true);
  await proxy.removeToxic("slow");
  await proxy.remove();
  expect(asked).toEqual([
    ["POST", "/proxies", { ...FIELDS, enabled: false }],
    [
      "POST",
      "/proxies/p/toxics",
      { name: "slow", type: "latency", stream: "upstream", toxicity: 1, attributes: { latency: 5 } },
    ],
    [
      "POST",
      "/proxies/p/toxics",
      { name: "idle", type: "reset_peer", stream: "downstream", toxicity: 0, attributes: { timeout: 0 } },
    ],
    ["POST", "/proxies/p/toxics/slow", { attributes: { latency: 50 } }],
    ["POST", "/proxies/p", { ...FIELDS, enabled: true }],
    ["DELETE", "/proxies/p/toxics/slow"],
    ["DELETE", "/proxies/p"],
  ]);
});

test("an error says what was asked, and what was answered", async () => {
  const { url } = await standIn(409, '{"error": "proxy already exists"}\n');
  await expect(ToxiproxyProxy.create(url, FIELDS)).rejects.toThrow(
    `Toxiproxy: POST ${url}/proxies: status 409: {"error": "proxy already exists"}`,
  );
});

test("nobody there is an error, too", async () => {
  const url = `http://127.0.0.1:${await unusedPort()}`;
  await expect(ToxiproxyProxy.create(url, FIELDS)).rejects.toThrow(/^Toxiproxy: POST .*ECONNREFUSED/);
});
