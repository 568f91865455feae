import { generate } from "selfsigned";

export interface Certificate {
  key: string;
  cert: string;
}

/**
 * A certificate that is its own authority, for a name and 127.0.0.1. Made anew each time: no key is kept. Default: valid for
 * a year from now on.
 */
export async function certificate(
  commonName = "localhost",
  valid: { notBeforeDate?: Date; notAfterDate?: Date } = {},
): Promise<Certificate> {
  const { private: key, cert } = await generate([{ name: "commonName", value: commonName }], {
    ...valid,
    keyType: "ec",
    algorithm: "sha256",
    extensions: [
      { name: "basicConstraints", cA: true },
      {
        name: "subjectAltName",
        altNames: [
          { type: 2, value: commonName },
          { type: 7, ip: "127.0.0.1" },
        ],
      },
    ],
  });
  return { key, cert };
}
