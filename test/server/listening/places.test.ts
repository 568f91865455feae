import { describe, expect, test } from "vitest";
import { listenError } from "../../../src/server/listening/listen-error.ts";
import {
  type ListenAddress,
  type Place,
  placeText,
  resolveAddresses,
  resolveShort,
} from "../../../src/server/listening/places.ts";
import { resolveServerOptions } from "../../../src/server/options.ts";
import { refusal } from "../../support.ts";

describe("addresses", () => {
  test("are taken as they are given, without what is off", () => {
    const given: ListenAddress[] = [
      { port: 0 },
      { port: 7000, host: "::", ipv6Only: true, reusePort: true },
      { port: 1, reusePort: false, ipv6Only: false },
      { path: "/run/a.sock", mode: 0o600 },
      { path: "/run/b.sock" },
      { fd: 3 },
      { systemd: true },
      { systemd: "public" },
    ];
    const resolved = resolveAddresses(given, "24.0.0");
    expect(resolved).toEqual(given.map((address, n) => (n === 2 ? { port: 1 } : address)));
    expect(resolveServerOptions({ addresses: given }).listen).toEqual(resolved);
  });

  test.each<[string, unknown]>([
    ["addresses", undefined],
    ["addresses", []],
    ["addresses", { port: 1 }],
    ["addresses", Array.from({ length: 65 }, () => ({ port: 1 }))],
    ["addresses[0]", [null]],
    ["addresses[0]", [7000]],
    ["addresses[1]", [{ port: 1 }, { host: "::1" }]],
    ["addresses[0].port", [{ port: 65_536 }]],
    ["addresses[0].host", [{ port: 1, host: "" }]],
    ["addresses[0].host", [{ port: 1, host: "localhost:1" }]],
    ["addresses[0].path", [{ port: 1, path: "/a" }]],
    ["addresses[0].backlog", [{ port: 1, backlog: 1 }]],
    ["addresses[0].ipv6Only", [{ port: 1, ipv6Only: 1 }]],
    ["addresses[0].reusePort", [{ port: 1, reusePort: "yes" }]],
    ["addresses[0].path", [{ path: "" }]],
    ["addresses[0].mode", [{ path: "/a", mode: 0o1000 }]],
    ["addresses[0].mode", [{ path: "/a", mode: -1 }]],
    ["addresses[0].fd", [{ fd: -1 }]],
    ["addresses[0].systemd", [{ systemd: false }]],
    ["addresses[0].systemd", [{ systemd: "" }]],
    ["addresses[0].name", [{ systemd: true, name: "a" }]],
  ])("%s is refused: %j", (name, addresses) => {
    const error = refusal(() => resolveServerOptions({ addresses } as never));
    expect(error).toMatchObject({ code: "INVALID_OPTION", option: { name } });
  });

  test.each(["port", "host", "path"])("%s is nothing beside them", (name) => {
    const options = { addresses: [{ port: 1 }], [name]: name === "port" ? 1 : "a" };
    expect(refusal(() => resolveServerOptions(options))).toMatchObject({ code: "INVALID_OPTION", option: { name } });
  });

  test.each([
    ["22.11.9", false],
    ["22.12.0", true],
    ["23.0.1", false],
    ["23.1.0", true],
    ["24.0.0", true],
  ])("reusePort with Node %s: %s, as an older one would ignore it", (version, isTaken) => {
    const resolve = () => resolveAddresses([{ port: 1, reusePort: true }], version);
    if (isTaken) expect(resolve()).toEqual([{ port: 1, reusePort: true }]);
    else expect(refusal(resolve)).toMatchObject({ option: { name: "addresses[0].reusePort" } });
    expect(resolveAddresses([{ port: 1, reusePort: false }], version)).toEqual([{ port: 1 }]);
  });

  test("a PROXY header can come to each of them", () => {
    const proxied = (from: string[], addresses: ListenAddress[]) => () =>
      resolveServerOptions({ addresses, proxyProtocol: { from } });
    expect(proxied(["unix", "10.0.0.1"], [{ port: 1 }, { path: "/a" }, { fd: 3 }])().listen).toHaveLength(3);
    expect(refusal(proxied(["10.0.0.1"], [{ port: 1 }, { path: "/a" }])).message).toContain('"unix", for a path');
    expect(refusal(proxied(["unix"], [{ path: "/a" }, { port: 1 }])).message).toContain("an address, for a port");
  });
});

test("the short way: a port or a path, or nowhere", () => {
  expect(resolveShort({})).toBe(undefined);
  expect(resolveShort({ port: 1, host: "::1" })).toEqual({ port: 1, host: "::1" });
  expect(resolveShort({ path: "/a" })).toEqual({ path: "/a" });
});

test.each<[Place, string]>([
  [{ port: 7000 }, "port 7000"],
  [{ port: 7000, host: "10.0.0.7" }, "10.0.0.7:7000"],
  [{ port: 7000, host: "::1" }, "[::1]:7000"],
  [{ path: "/run/a.sock" }, "/run/a.sock"],
  [{ fd: 3 }, "file descriptor 3"],
])("%j is shown as %s", (place, shown) => {
  expect(placeText(place)).toBe(shown);
});

const PORT: Place = { port: 80, host: "10.0.0.7" };
const PATH: Place = { path: "/run/a.sock" };
const FD: Place = { fd: 3 };

describe("an error of the system says what to do", () => {
  test.each<[string, Place, string]>([
    ["EADDRINUSE", PORT, "another process listens there"],
    ["EADDRINUSE", PATH, "another process listens there"],
    ["EACCES", PORT, "CAP_NET_BIND_SERVICE"],
    ["EACCES", PATH, "may not write into its folder"],
    ["EACCES", FD, "not permitted"],
    ["EPERM", PORT, "security policy"],
    ["EADDRNOTAVAIL", PORT, "check the option host"],
    ["EAFNOSUPPORT", PORT, "is IPv6 off?"],
    ["EMFILE", PORT, "raise ulimit -n"],
    ["ENFILE", PORT, "raise fs.file-max"],
    ["EINVAL", PORT, "needs its zone"],
    ["EINVAL", PATH, "does not take this path"],
    ["EINVAL", FD, "no socket that is bound"],
    ["EBADF", FD, "not open"],
    ["ENOTSOCK", FD, "no socket"],
    ["ENOTDIR", PATH, "no folder"],
    ["EROFS", PATH, "read-only"],
    ["ENAMETOOLONG", PATH, "too long"],
    ["ENOTFOUND", PORT, "not known"],
    ["EAI_AGAIN", PORT, "could not be looked up now"],
    ["ENOTSUP", PORT, "leave reusePort out"],
    ["ENOPROTOOPT", PORT, "leave reusePort out"],
  ])("%s at %j: %s", (code, place, advice) => {
    const cause = Object.assign(new Error("bind failed"), { code });
    const error = listenError(cause, place);
    expect(error).toMatchObject({ code: "LISTEN_FAILED", cause });
    expect(error.message).toMatch(/^cannot listen on /);
    expect(error.message).toContain(placeText(place));
    expect(error.message).toContain(advice);
  });

  test("one that is not in the table has its own words", () => {
    const cause = Object.assign(new Error("out of cheese"), { code: "ECHEESE" });
    expect(listenError(cause, PORT).message).toBe("cannot listen on 10.0.0.7:80: out of cheese");
    expect(listenError(Object.assign(cause, { code: "ENOENT" }), FD).message).toContain("out of cheese");
  });
});
