// TLS with client certificates, a token that rotates, and an identity for every link.
import { readFile } from "node:fs/promises";
import { watch } from "node:fs";
import { type Authenticated, type ConnectionManager, type Link, ServerSupervisor, type Verdict } from "resplice";
import { fetchToken, verifyToken } from "./support/auth.ts";

const pem = async (name: string) => readFile(`/etc/certs/${name}.pem`);
const certificates = async () => ({ ca: await pem("ca"), cert: await pem("tls"), key: await pem("key") });

export async function server(): Promise<ServerSupervisor> {
  const supervisor = new ServerSupervisor({
    port: 7900,
    tls: { ...(await certificates()), requestCert: true, rejectUnauthorized: true },
    authenticate: async ({ credentials, certificate, signal }): Promise<Verdict> => {
      const subject = await verifyToken(String(credentials), signal); // throws when the issuer is down: retried
      if (subject === null) return null; // refused for good
      if (subject !== certificate?.subject.CN) return { refused: "the certificate is another's" }; // and told why
      return { identity: subject, claims: { writes: subject.startsWith("writer-") } } satisfies Authenticated;
    },
    limits: { sessionsPerIdentity: 4 },
    logger: console,
  });
  supervisor.serve(async (link) => {
    console.log("hello", link.identity, link.remoteAddress);
    for await (const message of link) console.log(link.identity, link.claims, String(message));
  });
  await supervisor.listen();
  watch("/etc/certs", () => void certificates().then((renewed) => supervisor.setSecureContext(renewed)));
  return supervisor;
}

export function client(manager: ConnectionManager): Link {
  const link = manager.open({
    host: "ingest.example.com",
    port: 7900,
    tls: certificates, // read again for each attempt
    credentials: ({ signal }) => fetchToken({ signal }), // and a fresh token
  });
  link.on("error", (error) => {
    if (error.code === "AUTHENTICATION_REFUSED" || error.code === "CERTIFICATE_INVALID") process.exitCode = 2;
  });
  return link;
}
