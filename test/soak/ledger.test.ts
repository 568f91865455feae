import { expect, test } from "vitest";
import type { Account } from "./kinds.ts";
import { Ledger } from "./ledger.ts";

function account(changed: Partial<Account> = {}): Account {
  const traffic = { messages: 10, bytes: 1_000 };
  return { id: 1, kind: "TLS", sent: traffic, received: traffic, reconnects: 0, problems: [], ...changed };
}

function heldAgainstEachOther(client: Account, server: Account): string[] {
  const ledger = new Ledger();
  ledger.add("server", [server]);
  ledger.add("client", [client]);
  expect(ledger.links).toBe(1);
  expect(ledger.unmatched).toEqual([]);
  return ledger.problems;
}

test("two ends that agree are counted, and are no problem", () => {
  expect(heldAgainstEachOther(account({ reconnects: 3 }), account())).toEqual([]);
  // A stream comes in other pieces than it was sent in.
  const pieces = account({ kind: "duplex", received: { messages: 0, bytes: 1_000 } });
  expect(heldAgainstEachOther(account({ kind: "duplex" }), pieces)).toEqual([]);
});

test.each<[string, Partial<Account>, Partial<Account>]>([
  [
    "to the server: sent 10 messages, 1000 bytes, received 9 messages, 1000 bytes",
    {},
    { received: { messages: 9, bytes: 1_000 } },
  ],
  ["to the server: sent 11 messages, 1000 bytes, received 10", { sent: { messages: 11, bytes: 1_000 } }, {}],
  ["to the client: sent 10 messages, 1001 bytes, received 10", {}, { sent: { messages: 10, bytes: 1_001 } }],
  ["client: the session was lost", { problems: ["the session was lost"] }, {}],
  ["server: 3 messages were not delivered", {}, { problems: ["3 messages were not delivered"] }],
])("%s", (problem, client, server) => {
  const [found, ...others] = heldAgainstEachOther(account(client), account(server));
  expect(found).toContain(problem);
  expect(others).toEqual([]);
});

test("an end that nobody knows the other one of, and a link with two servers, are problems", () => {
  const ledger = new Ledger();
  ledger.add("server", [account({ id: 5 })]);
  expect(ledger.unmatched).toEqual(["link 5 (TLS) is known to the server only"]);
  ledger.add("server", [account({ id: 5 })]);
  expect(ledger.problems).toEqual(["link 5 has two ends on the server"]);
});
