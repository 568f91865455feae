import type { PeerCertificate } from "node:tls";
import { describe, expect, test } from "vitest";
import { RespliceError } from "../../src/index.ts";
import { identify, isSameSecret, Tokens } from "../../src/tunnel/tokens.ts";

const [ALICE, BOB, NEW] = ["alices-token-0123456789", "bobs-token-0123456789", "new-token-of-alice-0123"];
const FILE = `# who may connect\n\nalice ${ALICE}\r\n  bob\t${BOB}  \n\talice   ${NEW}\n#carol carols-token-0123456789\n`;
const certificateOf = (CN: unknown): PeerCertificate => ({ subject: { CN } }) as unknown as PeerCertificate;

describe("a file of tokens", () => {
  test.for([
    [ALICE, "alice"],
    [NEW, "alice"],
    [BOB, "bob"],
    ["carols-token-0123456789", undefined],
    [`${ALICE}x`, undefined],
    [ALICE.slice(0, -1), undefined],
    [`alice ${ALICE}`, undefined],
    ["", undefined],
  ])("%j is of %s", ([token, identity]) => {
    expect(new Tokens(FILE, "tokens").identityOf(Buffer.from(token ?? ""))).toBe(identity);
  });

  const SHORT = "fifteen-letters";
  test.for<[text: string, message: RegExp]>([
    ["", /^tokens has no token$/],
    ["# alice only-a-remark-0123456789\n", /^tokens has no token$/],
    [`alice ${SHORT}`, /^tokens, line 1: a token has at least 16 characters$/],
    [`\n\n${ALICE}`, /^tokens, line 3: two words are expected/],
    [`alice ${ALICE} ${BOB}`, /^tokens, line 1: two words are expected/],
    [`alice ${ALICE} # at home`, /^tokens, line 1: two words are expected/],
    [`alice ${ALICE}\n#\nbob ${ALICE}`, /^tokens, line 3: the token of line 1 again$/],
    [`alice ${ALICE}\nalice ${ALICE}`, /^tokens, line 2: the token of line 1 again$/],
    [`${ALICE}= bob`, /^tokens, line 1: an identity has neither = nor : in it$/],
    [`unix:${ALICE} ${BOB}`, /neither = nor :/],
    [`al\u202eice ${ALICE}`, /^tokens, line 1: an identity has no invisible characters$/],
    [`${"a".repeat(257)} ${ALICE}`, /an identity has at most 256 characters/],
    [`alice ${"a".repeat(1_025)}`, /a token has at most 1024 characters/],
    [
      Array.from({ length: 1_001 }, (_, at) => `alice token-0123456789-${at}`).join("\n"),
      /^tokens, line 1001: more than 1000 tokens$/,
    ],
  ])("%j is none, and the error shows no secret", ([text, message]) => {
    const read = (): Tokens => new Tokens(text, "tokens");
    expect(read).toThrow(RespliceError);
    expect(read).toThrow(message);
    for (const secret of [ALICE, BOB, SHORT]) expect(read).not.toThrow(secret);
  });
});

describe("who a client is", () => {
  const tokens = new Tokens(FILE, "tokens");

  test.for<[proofs: string, token: string, certificate: PeerCertificate | undefined, identity: string | RegExp]>([
    ["token", ALICE, undefined, "alice"],
    ["token", ALICE, certificateOf("mallory"), "alice"],
    ["token", "another-token-0123456789", undefined, /not known/],
    ["token", "", undefined, /a token is needed/],
    ["certificate", "", certificateOf("Carol Smith"), "Carol Smith"],
    ["certificate", ALICE, certificateOf("carol"), "carol"],
    ["certificate", ALICE, undefined, /no common name/],
    ["certificate", "", certificateOf(undefined), /no common name/],
    ["certificate", "", certificateOf(""), /no common name/],
    ["certificate", "", certificateOf(["alice", "bob"]), /or several/],
    ["certificate", "", {} as PeerCertificate, /no common name/],
    ["certificate", "", certificateOf("a".repeat(257)), /no common name/],
    ["both", ALICE, certificateOf("carol"), "alice"],
    ["both", ALICE, undefined, /no common name/],
    ["both", "another-token-0123456789", certificateOf("carol"), /not known/],
    ["both", "", certificateOf("carol"), /a token is needed/],
  ])("with %s: %j, %j", ([proofs, token, certificate, identity]) => {
    const asked = { tokens: proofs === "certificate" ? undefined : tokens, certificates: proofs !== "token" };
    const verdict = identify(asked, Buffer.from(token), certificate);
    if (typeof identity === "string") expect(verdict).toBe(identity);
    else expect(verdict).toEqual({ refused: expect.stringMatching(identity) });
  });

  test("is not known where nothing is asked for", () => {
    expect(identify({ tokens: undefined, certificates: false }, Buffer.alloc(0), undefined)).toHaveProperty("refused");
  });
});

test("a secret is the same or not", () => {
  expect(isSameSecret(Buffer.from(ALICE), ALICE)).toBe(true);
  expect(isSameSecret(BOB, ALICE)).toBe(false);
  expect(isSameSecret("", ALICE)).toBe(false);
});
