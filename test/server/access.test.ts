import { describe, expect, test } from "vitest";
import { Access, type AccessOptions, addressList } from "../../src/server/access.ts";
import { refusal } from "../support.ts";

const ADDRESSES = ["192.0.2.1", "::ffff:192.0.2.1", "192.0.2.9", "10.1.2.3", "2001:db8::1", "", "a client"];

test.each<[string, AccessOptions, string[]]>([
  ["nothing", {}, ADDRESSES],
  ["a list of allowed", { allow: ["192.0.2.0/24"] }, ["192.0.2.1", "::ffff:192.0.2.1", "192.0.2.9"]],
  ["a list of denied", { deny: ["192.0.2.1"] }, ["192.0.2.9", "10.1.2.3", "2001:db8::1", ""]],
  ["both: who is denied is not allowed", { allow: ["192.0.2.0/24"], deny: ["192.0.2.1"] }, ["192.0.2.9"]],
  ["no addresses", { allow: ["unix"] }, [""]],
  ["no addresses denied", { deny: ["unix"] }, ADDRESSES.slice(0, 5)],
  ["nobody is denied: it has to be an address all the same", { deny: [] }, ADDRESSES.slice(0, 6)],
])("%s", (_, options, admitted) => {
  const access = new Access(options);
  expect(ADDRESSES.filter((address) => access.admits(address))).toEqual(admitted);
});

describe("set()", () => {
  test("replaces the lists that are given, and leaves the others", () => {
    const access = new Access({ allow: ["192.0.2.0/24"], deny: ["192.0.2.1"] });
    access.set({ deny: ["192.0.2.9"] });
    expect(ADDRESSES.filter((address) => access.admits(address))).toEqual(["192.0.2.1", "::ffff:192.0.2.1"]);
    access.set({ allow: ["0.0.0.0/0", "::/0", "unix"], deny: [] });
    expect(ADDRESSES.filter((address) => access.admits(address))).toEqual(ADDRESSES.slice(0, 6));
  });

  test.each<[string, unknown, string]>([
    ["nothing", undefined, "access"],
    ["nothing in it", {}, "access"],
    ["a name that is none", { denied: [] }, "denied"],
    ["one list of two that is wrong", { allow: ["::/0"], deny: ["::/129"] }, "deny[0]"],
  ])("is refused, and changes nothing: %s", (_, options, name) => {
    const access = new Access({ allow: ["192.0.2.0/24"] });
    const error = refusal(() => access.set(options as AccessOptions));
    expect(error).toMatchObject({ code: "INVALID_OPTION", option: { name } });
    expect([access.admits("192.0.2.1"), access.admits("2001:db8::1")]).toEqual([true, false]);
  });
});

test.each<[string, unknown, string]>([
  ["a list that is named and undefined", undefined, "deny"],
  ["no list", "192.0.2.1", "deny"],
  ["a number", ["192.0.2.1", 5], "deny[1]"],
  ["a name", ["example.com"], "deny[0]"],
  ["too many", Array.from({ length: 10_001 }, () => "192.0.2.1"), "deny"],
])("INVALID_OPTION: %s", (_, deny, name) => {
  const error = refusal(() => new Access({ deny } as AccessOptions));
  expect(error).toMatchObject({ code: "INVALID_OPTION", option: { name } });
});

test("a list of nobody who may is refused, and 10,000 are taken", () => {
  expect(refusal(() => new Access({ allow: [] }))).toMatchObject({ option: { name: "allow" } });
  const many = Array.from({ length: 10_000 }, (_, at) => `10.${at >> 8}.${at & 255}.0/24`);
  expect(addressList("deny", many, 0).has("10.39.15.1")).toBe(true);
});
