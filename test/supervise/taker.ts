/** A process that is sent sockets, and answers each. */
import type { Socket } from "node:net";

process.on("message", (_, socket) => {
  (socket as Socket).on("error", () => {}).end("taken");
});
