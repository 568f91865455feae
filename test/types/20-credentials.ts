/** Credentials that expire, links by identity, and work behind a handler. */
import { type Authenticated, type Link, ServerSupervisor, type Verdict } from "resplice";

interface Token {
  user: string;
  scope: string[];
  expires: number;
}

export function serveTokens(verify: (token: string) => Promise<Token | undefined>): ServerSupervisor {
  const supervisor = new ServerSupervisor({
    port: 7000,
    authenticate: async ({ credentials }): Promise<Verdict> => {
      const token = await verify(String(credentials));
      if (token === undefined) return { refused: "this token is not valid" };
      const known: Authenticated = { identity: token.user, claims: token.scope, expiresAtMs: 1_000 * token.expires };
      return known;
    },
  });
  supervisor.serve((link) => {
    link.onMessage((question) => link.waitUntil(answer(link, String(question))));
  });
  return supervisor;
}

async function answer(link: Link, question: string): Promise<void> {
  await link.send(question.toUpperCase());
}

export function revoke(supervisor: ServerSupervisor, user: string): number {
  const links: Link[] = supervisor.linksOf(user);
  for (const link of links) link.reauthenticate();
  // @ts-expect-error: what is given is a promise.
  links[0]?.waitUntil(5);
  return links.length;
}
