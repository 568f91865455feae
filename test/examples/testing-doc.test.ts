/** The service in docs/testing.md and its tests run as they stand there, and their types are right. */
import { afterAll, beforeAll, test } from "vitest";
import { Document } from "./support/document.ts";

let document: Document;

beforeAll(async () => {
  document = await Document.read("docs/testing.md");
});

afterAll(() => document[Symbol.asyncDispose]());

test("all its code is run", () => document.expectFiles(["stock.ts", "stock-pair.test.ts", "stock-relay.test.ts"]));

test.each([
  ["stock-pair.test.ts", 5],
  ["stock-relay.test.ts", 1],
])("%s", { timeout: 30_000 }, (name, tests) => document.expectToPass(name, tests));

test("types", { timeout: 30_000 }, () => document.expectRightTypes());
