/** A far end that has read its files again, and who is asked for what proves it then. */
import { once } from "node:events";
import type net from "node:net";
import { beforeAll, describe, expect, test } from "vitest";
import { AllowList } from "../../src/tunnel/allow.ts";
import type { Renewed } from "../../src/tunnel/far.ts";
import { Tokens } from "../../src/tunnel/tokens.ts";
import { type Certificate, certificate } from "../certificate.ts";
import { eventually } from "../support.ts";
import { readAll, type TunnelStage, tunnel } from "./stage.ts";

const ALLOW = new AllowList(["127.0.0.1:1-65535"]);
const [OLD, NEW] = ["old-token-0123456789", "new-token-0123456789"];

let far: Certificate;
let client: Certificate;
let other: Certificate;
beforeAll(async () => {
  [far, client, other] = await Promise.all([certificate("localhost"), certificate("client"), certificate("other")]);
});

function echo(socket: net.Socket): void {
  socket.pipe(socket);
}

async function withCertificates(surviveMs = 60_000): Promise<TunnelStage> {
  return tunnel(echo, {
    far: {
      tls: { cert: far.cert, key: far.key, ca: client.cert, requestCert: true },
      proofs: { tokens: undefined, certificates: true },
      surviveMs,
    },
    near: { surviveMs, connect: { tls: { ca: far.cert, cert: client.cert, key: client.key } } },
  });
}

function withAuthority(ca: string): Renewed {
  const proofs = { tokens: undefined, certificates: true };
  return { tls: { cert: far.cert, key: far.key, ca }, proofs, allow: ALLOW };
}

async function roundTrip(socket: net.Socket): Promise<void> {
  socket.write("x");
  await once(socket, "data");
}

/** How many of the near end's links have been connected again, once all are connected. */
async function reconnected({ near }: TunnelStage): Promise<number> {
  const links = [...near.manager.links];
  await Promise.all(links.map((link) => link.connected().catch(() => {})));
  return links.filter((link) => link.stats().reconnects > 0).length;
}

describe("where the authority of the clients' certificates is another", () => {
  test("connections of a client whose certificate it has not signed are cut off, and do not survive", async () => {
    const stage = await withCertificates(300);
    const socket = await stage.connect();
    await roundTrip(socket);
    const read = readAll(socket);
    stage.far.renew(withAuthority(other.cert));
    expect((await read).end).toBe("ECONNRESET");
    await eventually(() => expect(stage.far.connections).toBe(0));
  });

  test("connections of a client whose certificate is still good go on", async () => {
    const stage = await withCertificates();
    const socket = await stage.connect();
    await roundTrip(socket);
    stage.far.renew(withAuthority(`${other.cert}\n${client.cert}`));
    await eventually(async () => expect(await reconnected(stage)).toBeGreaterThan(0));
    await roundTrip(socket);
  });
});

test("where it is the same nobody is asked, nor where a token of another client is gone", async () => {
  const [before, after] = [`a ${OLD}\nb ${NEW}`, `a ${OLD}`].map((text) => new Tokens(text, "tokens"));
  const stage = await tunnel(echo, {
    far: { proofs: { tokens: before, certificates: false } },
    near: { connect: { credentials: OLD } },
  });
  const socket = await stage.connect();
  await roundTrip(socket);
  stage.far.renew({ tls: undefined, proofs: { tokens: after, certificates: false }, allow: ALLOW });
  await roundTrip(socket);
  expect(await reconnected(stage)).toBe(0);
});

test("connections of a client whose token is gone are reset, and go on if it has the new one", async () => {
  let token = OLD;
  const stage = await tunnel(echo, {
    far: { proofs: { tokens: new Tokens(`a ${OLD}`, "tokens"), certificates: false } },
    near: { connect: { credentials: () => token } },
  });
  const socket = await stage.connect();
  await roundTrip(socket);
  token = NEW;
  const renewed = (text: string): Renewed => ({
    tls: undefined,
    proofs: { tokens: new Tokens(text, "tokens"), certificates: false },
    allow: ALLOW,
  });
  stage.far.renew(renewed(`a ${NEW}`));
  await eventually(async () => expect(await reconnected(stage)).toBeGreaterThan(0));
  await roundTrip(socket);
  const read = readAll(socket);
  stage.far.renew(renewed("a another-token-0123456789"));
  expect((await read).end).toBe("ECONNRESET");
});
