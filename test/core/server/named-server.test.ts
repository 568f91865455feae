import { expect, test } from "vitest";
import { namedServer } from "../../../src/core/server/named-server.ts";
import { encodeProvenHello, serverIdOf } from "../../../src/core/session/proof.ts";
import { encodeHello, encodeToken, FLAG_RESUME } from "../../../src/core/wire/frames.ts";
import { helloOf } from "./hello.ts";
import { seeded, seededEntropy } from "../../../src/testing/random.ts";

const HELLO = helloOf("0123456789ab");
const entropy = seededEntropy(seeded(1));

test.each(["hello", "standby"] as const)("a %s that resumes names the server that has opened its session", (type) => {
  const frame = encodeProvenHello(entropy, type, HELLO, "s".repeat(32));
  expect(namedServer(frame)).toEqual({ serverId: serverIdOf(HELLO.incarnation) });
  for (let bytes = 0; bytes < 38; bytes++) expect(namedServer(frame.subarray(0, bytes))).toBe("incomplete");
  expect(namedServer(frame.subarray(0, 38))).toEqual({ serverId: "0123456789ab" });
});

test("an open is for anybody, and so is what is no HELLO", () => {
  expect(namedServer(encodeHello("hello", { ...HELLO, resume: false }).subarray(0, 2))).toBe("anybody");
  expect(namedServer(encodeToken("ping", 1))).toBe("anybody");
  expect(namedServer(Buffer.from("GET / HTTP/1.1\r\n"))).toBe("anybody");
  const other = Buffer.from(encodeHello("hello", HELLO));
  other.write("RSPX", 8);
  expect(namedServer(other.subarray(0, 12))).toBe("anybody");
  expect(namedServer(Buffer.of(200, FLAG_RESUME))).toBe("anybody");
});
