import { IncomingMessage, type OutgoingHttpHeaders, ServerResponse } from "node:http";
import { Socket } from "node:net";
import { PassThrough } from "node:stream";
import { describe, expect, test } from "vitest";
import { closeAtHead, isReceived } from "../../src/supervise/last-answer.ts";

/** The lines of an answer's head. */
function headOf(answer: ServerResponse): string[] {
  const wire = new PassThrough();
  answer.assignSocket(wire as unknown as Socket);
  answer.end();
  const [head = ""] = String(wire.read()).split("\r\n\r\n");
  return head.split("\r\n").filter((line) => !/^(date|transfer-encoding|content-length)/iu.test(line));
}

function answerTo(isLast: () => boolean = () => true): ServerResponse {
  const request = new IncomingMessage(new Socket());
  request.httpVersionMajor = request.httpVersionMinor = 1;
  const answer = new ServerResponse(request);
  answer.shouldKeepAlive = true;
  closeAtHead(answer, isLast);
  return answer;
}

const lists = (headers: unknown): OutgoingHttpHeaders => headers as OutgoingHttpHeaders;

describe("the head says that the connection closes", () => {
  test.each<[string, (answer: ServerResponse) => unknown, string[]]>([
    ["that Node writes", () => {}, ["Connection: close"]],
    ["with a header", (answer) => answer.setHeader("X-A", "1"), ["X-A: 1", "Connection: close"]],
    ["that says keep-alive", (answer) => answer.setHeader("connection", "Keep-Alive"), ["Connection: close"]],
    ["with an option of its own", (answer) => answer.setHeader("Connection", "X-Hop"), ["Connection: X-Hop, close"]],
    ["with several", (answer) => answer.setHeader("Connection", ["a,close", "b"]), ["Connection: a, b, close"]],
    ["without headers", (answer) => answer.writeHead(200), ["Connection: close"]],
    ["of a record", (answer) => answer.writeHead(200, { "X-A": 1 }), ["X-A: 1", "Connection: close"]],
    ["of one that says", (answer) => answer.writeHead(200, { CONNECTION: "keep-alive, c" }), ["Connection: c, close"]],
    [
      "of a list",
      (answer) => answer.writeHead(200, ["X-A", "1", "X-A", "2"]),
      ["X-A: 1", "X-A: 2", "Connection: close"],
    ],
    ["of one that says", (answer) => answer.writeHead(200, ["connection", "keep-alive"]), ["Connection: close"]],
    [
      "of pairs",
      (answer) =>
        answer.writeHead(
          200,
          lists([
            ["X-A", "1"],
            ["connection", "keep-alive"],
          ]),
        ),
      ["X-A: 1", "Connection: close"],
    ],
    [
      "that is written when others were set",
      (answer) => answer.setHeader("Connection", "keep-alive").setHeader("X-A", "1").writeHead(200, { "X-B": "2" }),
      ["X-A: 1", "X-B: 2", "Connection: close"],
    ],
  ])("%s", (_, act, lines) => {
    const answer = answerTo();
    act(answer);
    const [status, ...headers] = headOf(answer);
    expect(status).toBe("HTTP/1.1 200 OK");
    expect(headers.toSorted()).toEqual(lines.toSorted());
  });

  test("with a reason, and that alone", () => {
    expect(headOf(answerTo().writeHead(200, "Fine"))).toEqual(["HTTP/1.1 200 Fine", "Connection: close"]);
    expect(headOf(answerTo().writeHead(200, "Fine", { a: "1" }))).toContain("Connection: close");
  });
});

test("it is asked when the head is made, and not before; until then the headers are as they are", () => {
  let isLast = false;
  const answer = answerTo(() => isLast);
  isLast = true;
  expect(answer.getHeaderNames()).toEqual([]);
  answer.writeHead(204);
  isLast = false;
  expect(headOf(answer)).toContain("Connection: close");
  expect(headOf(answerTo(() => false))).toContain("Connection: keep-alive");
});

test("a head that was sent stays, and a second one is the same error as ever", () => {
  const answer = answerTo(() => false);
  answer.writeHead(200);
  closeAtHead(answer, () => true);
  expect(() => answer.writeHead(200)).toThrow(expect.objectContaining({ code: "ERR_HTTP_HEADERS_SENT" }));
  expect(headOf(answer)).toContain("Connection: keep-alive");
});

test.each<[boolean, Record<string, string>, boolean]>([
  [false, {}, true],
  [false, { "content-length": "0" }, true],
  [false, { "content-length": "1" }, false],
  [true, { "content-length": "1" }, true],
  [false, { "transfer-encoding": "chunked" }, false],
  [true, { "transfer-encoding": "chunked" }, true],
])("complete: %s, %j: received: %s", (complete, headers, received) => {
  expect(isReceived({ complete, headers } as unknown as IncomingMessage)).toBe(received);
});
