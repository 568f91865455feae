import { generate } from "selfsigned";

export interface Certificate {
  key: string;
  cert: string;
}

/** A certificate that is its own authority, for a name and 127.0.0.1. Made anew each time: no key is kept. */
export async function certificate(commonName = "localhost"): Promise<Certificate> {
  const { private: key, cert } = await generate([{ name: "commonName", value: commonName }], {
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
