/** What the codes of TLS errors mean, and what to do, in words that are the same at both ends. */

/** Each for a part of a code of OpenSSL or Node. The first that fits counts. */
const MEANINGS: ReadonlyArray<readonly [code: RegExp, words: string]> = [
  [/^CERT_HAS_EXPIRED$/, "it is to be renewed"],
  [/^CERT_NOT_YET_VALID$/, "are the clocks of both machines right?"],
  [/^CRL_(HAS_EXPIRED|NOT_YET_VALID)$/, "the revocation list (`crl`) is out of date"],
  [
    /^(DEPTH_ZERO_SELF_SIGNED|SELF_SIGNED_|UNABLE_TO_(GET_ISSUER|VERIFY_LEAF))/,
    "no authority that is trusted here has signed it: its authority belongs into `tls.ca`",
  ],
  [/^CERT_REVOKED$/, "the certificate is revoked"],
  [/^ERR_TLS_CERT_ALTNAME_INVALID$|^HOSTNAME_MISMATCH$/, "the certificate is for other names: see `tls.servername`"],
  [
    /CERTIFICATE_REQUIRED|DID_NOT_RETURN_A_CERTIFICATE/,
    "the server requires a certificate of the client: `tls.cert` and `tls.key` of the client",
  ],
  [/ALERT_UNKNOWN_CA/, "the other side trusts no authority of this side's certificate: see its `tls.ca`"],
  [/ALERT_CERTIFICATE_EXPIRED/, "the other side says that this side's certificate has expired"],
  [/ALERT_(BAD_|UNSUPPORTED_)?CERTIFICATE/, "the other side refuses this side's certificate"],
  [
    /WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST|HTTPS_PROXY_REQUEST|RECORD_LAYER_FAILURE/,
    "the other side does not speak TLS: only one side has `tls`, or the client has come to another server's port",
  ],
  [/ALERT_PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL/, "the two sides have no version of TLS in common"],
  [
    /HANDSHAKE_FAILURE|NO_SHARED_CIPHER/,
    "the two sides have no cipher suite in common, or the server requires a certificate of the client (`tls.cert`)",
  ],
  [/UNRECOGNIZED_NAME/, "the server has no certificate for the name that was asked for: see `tls.servername`"],
];

/** `code`: or a text that ends with it. Undefined if it needs no more words, or is no code of TLS. */
export function tlsWords(code: string): string | undefined {
  return MEANINGS.find(([known]) => known.test(code))?.[1];
}
