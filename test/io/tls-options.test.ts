import { once } from "node:events";
import net from "node:net";
import tls, { createSecureContext, type SecureContextOptions } from "node:tls";
import { describe, expect, onTestFinished, test } from "vitest";
import { certificate } from "../certificate.ts";
import {
  hasCertificate,
  isTlsOptions,
  renewed,
  tlsFailure,
  tlsProblem,
  tlsRefusal,
  whatIsGiven,
} from "../../src/io/tls-options.ts";

test("options are an object, and no bytes or list of a PEM, nor a promise of them", () => {
  for (const options of [{}, { ca: "x" }, Object.create(null)]) expect(isTlsOptions(options)).toBe(true);
  const bytes = new ArrayBuffer(1);
  const objects = [[], ["x"], Buffer.from("x"), new DataView(bytes), bytes, Promise.resolve({ ca: "x" })];
  for (const none of [undefined, null, true, "x", 5, ...objects]) expect(isTlsOptions(none)).toBe(false);
});

test("what is undefined was not given", () => {
  expect(whatIsGiven({ host: undefined, ca: "x", rejectUnauthorized: false, cert: null })).toEqual({
    ca: "x",
    rejectUnauthorized: false,
    cert: null,
  });
});

describe("what is renewed", () => {
  const before = { key: "k", cert: "c", passphrase: "p", ca: "a", minVersion: "TLSv1.3" } as const;
  const rest = { ca: "a", minVersion: "TLSv1.3" } as const;
  test.each<[string, SecureContextOptions, SecureContextOptions]>([
    ["key and certificate", { key: "k2", cert: "c2" }, { ...rest, key: "k2", cert: "c2" }],
    ["a certificate of the same key", { cert: "c2" }, { ...before, cert: "c2" }],
    ["both as one", { pfx: "x", passphrase: "p2" }, { ...rest, pfx: "x", passphrase: "p2" }],
    ["the authority", { ca: "a2" }, { ...before, ca: "a2" }],
  ])("%s, and the rest stays", (_, changes, after) => {
    expect(renewed(before, changes)).toEqual(after);
  });

  test("key and certificate in place of both as one", () => {
    expect(renewed({ pfx: "x", passphrase: "p", ca: "a" }, { key: "k", cert: "c" })).toEqual({
      key: "k",
      cert: "c",
      ca: "a",
    });
  });
});

describe("what node:tls says", () => {
  test.each<[string, object, RegExp]>([
    ["a kind", { ticketKeys: "s3cr3t" }, /^The "options\.ticketKeys" property must be an instance of Buffer/],
    ["a value", { minVersion: "s3cr3t" }, /^ERR_TLS_INVALID_PROTOCOL_VERSION$/],
    ["a word", { secureProtocol: "s3cr3t" }, /^ERR_TLS_INVALID_PROTOCOL_METHOD$/],
    ["a PEM", { cert: "s3cr3t" }, /^PEM routines: no start line \(ERR_OSSL_PEM_NO_START_LINE\)$/],
  ])("of %s shows none", (_, options, said) => {
    let thrown: unknown;
    try {
      createSecureContext(options);
    } catch (error) {
      thrown = error;
    }
    expect(tlsRefusal(thrown)).toMatch(said);
    expect(tlsRefusal(thrown)).not.toContain("s3cr3t");
  });

  test("of a peer that does not speak TLS is one line, as OpenSSL's message is not", async () => {
    const server = net.createServer((socket) => void socket.end("220 smtp.example.com\r\n")).listen(0, "127.0.0.1");
    onTestFinished(() => void server.close());
    await once(server, "listening");
    const { port } = server.address() as net.AddressInfo;
    const client = tls.connect({ port, host: "127.0.0.1" });
    const error = await new Promise<Error>((resolve) => client.once("error", resolve));
    expect(error.message).toContain("\n");
    expect(tlsRefusal(error)).toMatch(/^SSL routines: [a-z ]+ \(ERR_SSL_[A-Z_]+\)$/u);
  });

  test("may be a code, or nothing", () => {
    expect(tlsRefusal(Object.assign(new AggregateError([]), { code: "ECONNREFUSED" }))).toBe("ECONNREFUSED");
    expect(tlsRefusal(new TypeError("s3cr3t"))).toBe("TypeError");
    expect(tlsRefusal("s3cr3t")).toBe("an error that is none");
  });
});

describe("what node:tls cannot use", () => {
  test("is found among the files", async () => {
    const [pem, other] = [await certificate(), await certificate()];
    expect(tlsProblem("tls", { ...pem, ca: other.cert, passphrase: undefined })).toBeUndefined();
    const wrong: Array<[string, SecureContextOptions]> = [
      ["tls.ca", { ...pem, ca: "x" }],
      ["tls.cert", { ...pem, cert: "x" }],
      ["tls.key", { ...pem, key: "x" }],
      ["tls.pfx", { pfx: Buffer.from("x"), passphrase: "y" }],
      ["tls.crl", { ...pem, crl: "x" }],
      ["tls", { ...pem, cert: other.cert }],
      ["tls", { ...pem, minVersion: "TLSv9" as never }],
    ];
    for (const [name, options] of wrong) expect(tlsProblem("tls", options)?.[0]).toBe(name);
    const takes = "a certificate in PEM, which begins with -----BEGIN CERTIFICATE-----";
    expect(tlsProblem("defaults.tls", { ca: "x" })).toEqual(["defaults.tls.ca", "x", takes]);
    const [, , allowed] = tlsProblem("tls", { cert: "x" }) ?? [];
    expect(allowed).toMatch(new RegExp(`^${takes}\\. node:tls says: .`));
  });

  test("a certificate comes with its key", () => {
    for (const options of [{ cert: "c", key: "k" }, { pfx: "p" }, { cert: "c", privateKeyIdentifier: "i" }])
      expect(hasCertificate(options)).toBe(true);
    for (const options of [{}, { cert: "c" }, { key: "k" }, { ca: "c" }]) expect(hasCertificate(options)).toBe(false);
  });
});

test("the text of a handshake that has failed says what it means", () => {
  const coded = (code: string, message: string): Error => Object.assign(new Error(message), { code });
  expect(tlsFailure(coded("CERT_HAS_EXPIRED", "certificate has expired"))).toBe(
    "certificate has expired: it is to be renewed",
  );
  expect(tlsFailure(coded("ERR_SSL_WRONG_VERSION_NUMBER", "0A:error:x.c:80:"))).toMatch(
    /^ERR_SSL_WRONG_VERSION_NUMBER: the other side does not speak TLS/,
  );
  expect(tlsFailure(coded("ECONNREFUSED", "refused"))).toBe("refused");
  expect(tlsFailure("thrown")).toBe("an error that is none");
});
