import { expect, test } from "vitest";
import {
  boolean,
  checkNames,
  group,
  hostName,
  integer,
  integerOrInfinity,
  logger,
  oneOf,
  payload,
  text,
} from "../../src/link/check.ts";
import { refusal } from "../support.ts";

test("what is allowed is answered as it is", () => {
  expect(integer("port", 0, 0, 65_535)).toBe(0);
  expect(integerOrInfinity("maxAttempts", Infinity, 0)).toBe(Infinity);
  expect(boolean("allowHalfOpen", false)).toBe(false);
  expect(oneOf("mode", "bytes", ["messages", "bytes"])).toBe("bytes");
  expect(text("host", "localhost")).toBe("localhost");
  expect(group("queue", undefined, [])).toEqual({});
  expect(logger(undefined)).toBeUndefined();
});

test.each<[string, () => unknown, string]>([
  ["a fraction", () => integer("port", 1.5, 0, 65_535), "an integer from 0 to 65535"],
  ["too small", () => integer("port", -1, 0, Number.MAX_SAFE_INTEGER), "an integer of at least 0"],
  ["no number", () => integerOrInfinity("maxAttempts", "many", 0), "an integer of at least 0"],
  ["no boolean", () => boolean("allowHalfOpen", 1), "true or false"],
  ["another word", () => oneOf("mode", "lines", ["messages", "bytes"]), "messages, bytes"],
  ["an empty name", () => text("host", ""), "a string"],
  ["no group", () => group<{ maxBytes?: number }>("queue", null as never, ["maxBytes"]), "an object with maxBytes"],
  ["a name that does not exist", () => checkNames({ hots: "h" }, ["host", "port"]), "host, port"],
  ["no bytes", () => payload("openPayload", 5, 10), "a string or bytes"],
  ["too many bytes", () => payload("openPayload", "12345678901", 10), "at most 10 bytes"],
])("%s is refused, and what is allowed is said", (_, check, allowed) => {
  expect(refusal(check)).toMatchObject({ code: "INVALID_OPTION", option: { allowed } });
});

test("a name that does not exist is called so, with the one that was meant", () => {
  const said = (given: object) => refusal(() => checkNames(given, ["host", "port"], "socket.")).message;
  expect(said({ prot: 1 })).toBe("there is no option socket.prot (did you mean socket.port?); allowed: host, port");
  expect(said({ url: "secret" })).toBe("there is no option socket.url; allowed: host, port");
});

test("a logger without all its methods is refused, also one that throws when it is looked at", () => {
  const hostile = {
    get debug(): never {
      throw new Error("mine");
    },
  };
  for (const given of [{ info() {} }, hostile]) {
    expect(refusal(() => logger(given as never))).toMatchObject({ code: "INVALID_OPTION", option: { name: "logger" } });
  }
});

test("a payload is a copy: its owner may go on writing", () => {
  const given = Buffer.from("mine");
  const kept = payload("openPayload", given, 10);
  given.fill(0);
  expect(String(kept)).toBe("mine");
});

test("a host is a name or an address", () => {
  const hosts = ["localhost", "a_b.example", "127.0.0.1", "::1", "[::1]", "fe80::1%eth0.100", "[fe80::1%eth0]"];
  for (const host of [...hosts, "::ffff:127.0.0.1"]) expect(hostName("host", host)).toBe(host);
});

test.each<[string, string]>([
  ["localhost:7000", ', as in { host: "localhost", port: 7000 }'],
  ["127.0.0.1:7000", ', as in { host: "127.0.0.1", port: 7000 }'],
  ["[::1]:7000", ', as in { host: "[::1]", port: 7000 }'],
  ["tcp://localhost:7000/", ', as in { host: "localhost", port: 7000 }'],
  ["https://localhost", ""],
  ["localhost/x", ""],
  ["local host", ""],
  ["localhost:", ""],
])("no host, as no name server would know it: %s", (given, more) => {
  const error = refusal(() => hostName("host", given));
  expect(error).toMatchObject({ code: "INVALID_OPTION", option: { name: "host", value: given } });
  expect(error.option?.allowed).toBe(`a name or an IP address alone${more}`);
});

test("the password of a URL does not show", () => {
  const error = refusal(() => hostName("host", "redis://me:s3cr3t@localhost:7000"));
  expect(error.message).not.toContain("s3cr3t");
  expect(error.option).toMatchObject({ value: "a string of length 32" });
});
