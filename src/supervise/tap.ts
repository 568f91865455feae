/**
 * Hears the events of the application's server before its own listeners do. A listener would not do: an HTTP server
 * treats requests differently when there is one for 'upgrade', 'checkContinue' or, with HTTP/2, 'request'; and no
 * listener can keep a connection from the others.
 */
import type { Server } from "node:net";

/** Answers false if the server's own listeners are not to hear of the event. */
export type Hears = (name: unknown, first: unknown, second: unknown) => boolean;

const HEAR_ALL: Hears = () => true;

/** Returns a function that ends it. Whoever has replaced emit() later goes on undisturbed. */
export function tap(server: Server, hears: Hears): () => void {
  let listening = hears;
  // eslint-disable-next-line typescript/unbound-method -- called with the server as `this`
  const { emit } = server;
  const wasOwn = Object.hasOwn(server, "emit");
  const tapped = function tapped(this: Server, ...args: unknown[]): boolean {
    return listening(args[0], args[1], args[2]) ? (Reflect.apply(emit, this, args) as boolean) : true;
  };
  server.emit = tapped;
  return () => {
    listening = HEAR_ALL;
    if (server.emit !== tapped) return;
    if (wasOwn) server.emit = emit;
    else Reflect.deleteProperty(server, "emit");
  };
}
