import { expect, test } from "vitest";
import { tlsWords } from "../../src/io/tls-words.ts";

test.each<[string, RegExp]>([
  ["CERT_HAS_EXPIRED", /renewed/],
  ["CERT_NOT_YET_VALID", /clocks/],
  ["CRL_HAS_EXPIRED", /revocation list/],
  ["CERT_REVOKED", /is revoked/],
  ["DEPTH_ZERO_SELF_SIGNED_CERT", /`tls\.ca`/],
  ["SELF_SIGNED_CERT_IN_CHAIN", /`tls\.ca`/],
  ["UNABLE_TO_GET_ISSUER_CERT_LOCALLY", /`tls\.ca`/],
  ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", /`tls\.ca`/],
  ["ERR_TLS_CERT_ALTNAME_INVALID", /`tls\.servername`/],
  ["ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE", /`tls\.cert` and `tls\.key` of the client/],
  ["the attempt failed: ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED", /`tls\.cert` and `tls\.key` of the client/],
  ["ERR_SSL_TLSV1_ALERT_UNKNOWN_CA", /see its `tls\.ca`/],
  ["ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED", /this side's certificate has expired/],
  ["ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE", /refuses this side's certificate/],
  ["ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN", /refuses this side's certificate/],
  ["ERR_SSL_WRONG_VERSION_NUMBER", /does not speak TLS/],
  ["ERR_SSL_HTTP_REQUEST", /does not speak TLS/],
  ["ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION", /no version of TLS in common/],
  ["ERR_SSL_NO_SHARED_CIPHER", /no cipher suite in common/],
  ["ERR_SSL_TLSV1_UNRECOGNIZED_NAME", /no certificate for the name/],
])("%s", (code, words) => {
  expect(tlsWords(code)).toMatch(words);
});

test("other codes need no more words", () => {
  for (const code of ["ECONNREFUSED", "ERR_SSL_DECRYPTION_FAILED", ""]) expect(tlsWords(code)).toBeUndefined();
});
