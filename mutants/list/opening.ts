/** Opening a session, and who may speak for it. */
import type { Mutant } from "../mutant.ts";

const HANDSHAKES = ["test/server/handshakes.test.ts"];
const AUTHENTICATION = ["test/sim/scenarios-authentication.test.ts"];

export const OPENING: readonly Mutant[] = [
  {
    name: "incarnation ignored by the server",
    row: 4,
    rule: "a session of another incarnation is not the one that is resumed",
    file: "src/core/server.ts",
    find: "link?.session.incarnation === hello.incarnation ? link : undefined",
    replace: "link",
    tests: ["test/sim/scenarios-opening.test.ts"],
  },
  {
    name: "incarnation ignored by the client",
    row: 4,
    rule: "a WELCOME of another incarnation does not go on with the session",
    file: "src/core/client-handshake.ts",
    find: 'if (welcome.result === "resumed" && welcome.incarnation !== session.incarnation) {',
    replace: "if (false) {",
    tests: ["test/sim/scenarios-strangers.test.ts"],
  },
  {
    name: "retry of an open refused",
    row: 5,
    rule: "an open that is repeated finds the session that the first attempt made",
    file: "src/core/server.ts",
    find: 'known.session.phase !== "provisional") {',
    replace: 'known.session.phase !== "gone") {',
    tests: ["test/sim/scenarios-opening.test.ts"],
  },
  {
    name: "HELLO makes the session",
    row: 6,
    rule: "a session is provisional until CONFIRM answers a nonce",
    file: "src/core/server.ts",
    find: "handshake.channel.send(link.welcome(result, nonce));",
    replace: `handshake.channel.send(link.welcome(result, nonce));
    this.#sessions.confirmed(link);
    link.confirm();
    this.events.push({ type: "link", channel: handshake.channel.id, link });
    this.#attach(handshake, link, NO_POSITIONS, false, nowMs);`,
  },
  {
    name: "MAC of CONFIRM not checked",
    row: 6,
    rule: "only who knows the secret confirms a session",
    file: "src/core/server.ts",
    find: "if (!link.isConfirmed(mac, nonce)) {",
    replace: "if (false) {",
  },
  {
    name: "CONFIRM without a nonce",
    row: 6,
    rule: "CONFIRM answers the nonce of one WELCOME, and can't be played back",
    file: "src/core/handshake.ts",
    find: "[CONFIRM_LABEL, ids, nonce]",
    replace: "[CONFIRM_LABEL, ids]",
    tests: ["test/core/handshake.test.ts"],
  },
  {
    name: "CONFIRM of an older connection",
    row: 6,
    rule: "only the newest connection may confirm",
    file: "src/core/server.ts",
    find: 'if (link.nonce !== nonce || link.session.phase !== "provisional") {',
    replace: 'if (link.session.phase !== "provisional") {',
    tests: ["test/sim/scenarios-opening.test.ts"],
  },
  {
    name: "CONFIRM not repeated",
    row: 6,
    rule: "CONFIRM is sent again until the server has spoken after it",
    file: "src/core/client-link.ts",
    find: "this.#resumeForMs = welcome.resumeForMs;",
    replace: 'this.#resumeForMs = welcome.resumeForMs;\n    this.handshake.confirmed = welcome.result === "resumed";',
  },
  {
    name: "repeated CONFIRM not checked",
    row: 6,
    rule: "a CONFIRM on a session that is live is checked as well",
    file: "src/core/server-link.ts",
    find: 'return this.isConfirmed(frame.mac, nonce) ? undefined : fault("wrong-proof", "wrong MAC in CONFIRM");',
    replace: "return undefined;",
    tests: ["test/sim/scenarios-strangers.test.ts"],
  },
  {
    name: "provisional sessions kept for ever",
    row: 6,
    rule: "a session that nobody confirms is forgotten after the handshake time",
    file: "src/core/session-table.ts",
    find: "if (this.#provisional.delete(link)) this.#provisional.set(link, nowMs + this.#options.handshakeMs);",
    replace: "if (this.#provisional.delete(link)) this.#provisional.set(link, nowMs + 1e15);",
  },
  {
    name: "provisional session not kept for its client",
    rule: "a session that nobody has confirmed is kept for the handshake time after its newest connection",
    file: "src/core/session-table.ts",
    find: "if (this.#provisional.delete(link)) this.#provisional.set(link, nowMs + this.#options.handshakeMs);",
    replace: "",
    tests: ["test/sim/scenarios-opening.test.ts"],
  },
  {
    name: "proof of a resume not checked",
    rule: "a resume needs a proof of the session's secret",
    file: "src/core/server-link.ts",
    find: "if (!this.isProven(said)) return false;",
    replace: 'if (said.type === "standby" && !this.isProven(said)) return false;',
  },
  {
    name: "proof of a standby not checked",
    rule: "a standby needs a proof of the session's secret",
    file: "src/core/server-link.ts",
    find: "if (!this.isProven(said)) return false;",
    replace: 'if (said.type === "hello" && !this.isProven(said)) return false;',
    tests: ["test/sim/scenarios-strangers.test.ts"],
  },
  {
    name: "proof looked at after the verdict only",
    rule: "authenticate() is not asked about who cannot prove to know the session",
    file: "src/core/server.ts",
    find: "if (link !== undefined && !link.isFor(frame)) {",
    replace: "if (false) {",
    and: {
      find: "if (link !== asked && link !== undefined && ",
      replace: "if (link !== undefined && ",
    },
    tests: AUTHENTICATION,
  },
  {
    name: "asked about the payload of HELLO",
    rule: "authenticate() is given the payload of the session that is resumed",
    file: "src/core/server.ts",
    find: "openPayload: link?.openPayload ?? openPayload,",
    replace: "openPayload,",
    tests: AUTHENTICATION,
  },
  {
    name: "fallback for another payload",
    rule: "a resume states the payload of its session, where it names a fallback",
    file: "src/core/server-link.ts",
    find: "(fallback === undefined && openPayload.length === 0)",
    replace: "openPayload.length === 0",
    tests: AUTHENTICATION,
  },
  {
    name: "resume for another payload",
    rule: "a resume or standby that states a payload states its session's",
    file: "src/core/server-link.ts",
    find: "(fallback === undefined && openPayload.length === 0)",
    replace: "fallback === undefined",
    tests: AUTHENTICATION,
  },
  {
    name: "open repeated for another payload",
    rule: "an open that is repeated, or a fallback that is known, is for the payload that it was first for",
    file: "src/core/server.ts",
    find: "} else if (!known.openPayload.equals(hello.openPayload)) {",
    replace: "} else if (false) {",
    tests: AUTHENTICATION,
  },
  {
    name: "verdict on another question",
    rule: "a session that has come meanwhile is not let in on what was said of another payload",
    file: "src/core/server.ts",
    find: "else if (openPayload.equals(link.openPayload)) return true;",
    replace: "else return true;",
    tests: AUTHENTICATION,
  },
  {
    name: "session that has come meanwhile not proven",
    rule: "a session that has come since the question was asked needs its proof as well",
    file: "src/core/server.ts",
    find: "if (link !== asked && link !== undefined && !this.#isAnswerFor(handshake, said, link, asked)) return;",
    replace: "",
    tests: AUTHENTICATION,
  },
  {
    name: "proof without the end of the frame",
    rule: "the proof covers the whole frame",
    file: "src/core/handshake.ts",
    find: "frame.subarray(HELLO_PROOF_AT + PROOF_BYTES),",
    replace: "",
    tests: ["test/core/handshake.test.ts"],
  },
  {
    name: "identity ignored at a resume",
    rule: "authentication runs on a resume too, and a session belongs to one identity",
    file: "src/core/server.ts",
    find: `if (link.identity !== identity) return this.#refuseAnother(handshake);
    const owner = ownerOf(hello);
    if (!this.#mayOwn(handshake, link, owner)) return;
    switch`,
    replace: `const owner = ownerOf(hello);
    if (!this.#mayOwn(handshake, link, owner)) return;
    switch`,
    tests: ["test/sim/scenarios-strangers.test.ts"],
  },
  {
    name: "identity ignored at a standby",
    rule: "authentication runs on a standby too, and a session belongs to one identity",
    file: "src/core/server.ts",
    find: `if (link.identity !== identity) return this.#refuseAnother(handshake);
    const owner = ownerOf(hello);
    if (!this.#mayOwn(handshake, link, owner)) return;
    const waitMs`,
    replace: `const owner = ownerOf(hello);
    if (!this.#mayOwn(handshake, link, owner)) return;
    const waitMs`,
    tests: AUTHENTICATION,
  },
  {
    name: "secret of an open not checked",
    rule: "an open of a session that is known needs its secret",
    file: "src/core/server.ts",
    find: "!this.#entropy.equal(secret, secretBytes(known.session.keys.secret)) || known.identity !== identity",
    replace: "known.identity !== identity",
    tests: ["test/sim/scenarios-opening.test.ts"],
  },
  {
    name: "another version accepted",
    rule: "a client of another version or mode is refused for good",
    file: "src/core/server.ts",
    find: "version !== PROTOCOL_VERSION ? `version ${version}` : mode",
    replace: "mode",
    tests: ["test/sim/scenarios-strangers.test.ts"],
  },
  {
    name: "generation not raised by a standby",
    rule: "the counter rises with each HELLO and STANDBY",
    file: "src/core/client-handshake.ts",
    find: "this.#counter++;",
    replace: 'if (type === "hello") this.#counter++;',
  },
  {
    name: "generation begun anew with a session",
    rule: "the counter rises over all sessions of the link",
    file: "src/core/client-handshake.ts",
    find: "this.#fallback = undefined;\n    return keys;",
    replace: "this.#fallback = undefined;\n    this.#counter = 0;\n    return keys;",
    tests: ["test/sim/scenarios-strangers.test.ts"],
  },
  {
    name: "verdict of nobody is a refusal",
    row: 19,
    rule: "while nobody can say who a client is, it may come back",
    file: "src/server/handshakes.ts",
    find: 'return "unavailable";',
    replace: "return { identity: null };",
    tests: HANDSHAKES,
  },
  {
    name: "RESET behind an unauthenticated HELLO dropped",
    rule: "a client that only wants to tell of a reset sends it right behind its HELLO",
    file: "src/core/server.ts",
    find: 'if (state.name === "authenticating") state.reset = frame;',
    replace: "",
    tests: ["test/sim/scenarios-strangers.test.ts"],
  },
  {
    name: "WELCOME after abort not answered",
    row: 38,
    rule: "a WELCOME after abort() is answered with RESET",
    file: "src/core/client.ts",
    find: `channel.send(this.resetFrame);
      this.closeChannel(channel, "reset", undefined, true);`,
    replace: `this.closeChannel(channel, "reset", undefined, true);`,
    tests: ["test/sim/scenarios-opening.test.ts"],
  },
];
