/**
 * As much of the peers' types as is used here. The packages are installed when they are to be measured, and the checks of
 * this repository do not wait for that.
 */
declare module "socket.io" {
  import type { Server as HttpServer } from "node:http";
  interface ServerSocket {
    on(event: "message", listener: (message: Buffer, acknowledge?: () => void) => void): void;
  }
  export class Server {
    constructor(server: HttpServer);
    on(event: "connection", listener: (socket: ServerSocket) => void): void;
  }
}

declare module "socket.io-client" {
  import type { EventEmitter } from "node:events";
  export interface Socket {
    readonly io: { engine: EventEmitter<{ drain: [] }> & { writeBuffer: unknown[] } };
    on(event: "connect", listener: () => void): void;
    emit(event: string, message: Buffer): void;
    emitWithAck(event: string, message: Buffer): Promise<unknown>;
  }
  export function io(url: string, options: { transports: string[] }): Socket;
}

declare module "@nats-io/transport-node" {
  export interface NatsConnection {
    publish(subject: string, payload: Uint8Array): void;
    subscribe(
      subject: string,
      options: { callback: (error: Error | null, message: { data: Uint8Array }) => void },
    ): unknown;
    flush(): Promise<void>;
  }
  export function connect(options: { servers: string }): Promise<NatsConnection>;
}

declare module "@nats-io/jetstream" {
  import type { NatsConnection } from "@nats-io/transport-node";
  export const AckPolicy: { readonly Explicit: "explicit" };
  export const RetentionPolicy: { readonly Workqueue: "workqueue" };
  interface Manager {
    streams: { add(config: { name: string; subjects: string[]; retention: string }): Promise<unknown> };
    consumers: { add(stream: string, config: { durable_name: string; ack_policy: string }): Promise<unknown> };
  }
  interface JsMsg {
    data: Uint8Array;
    ack(): void;
  }
  interface Client {
    publish(subject: string, payload: Uint8Array): Promise<unknown>;
    consumers: {
      get(
        stream: string,
        consumer: string,
      ): Promise<{ consume(options: { callback: (message: JsMsg) => void }): Promise<unknown> }>;
    };
  }
  export function jetstream(connection: NatsConnection): Client;
  export function jetstreamManager(connection: NatsConnection): Promise<Manager>;
}

declare module "zeromq" {
  export class Push {
    connect(address: string): void;
    send(message: Buffer): Promise<void>;
  }
  export class Pull implements AsyncIterable<Buffer[]> {
    readonly lastEndpoint: string | null;
    bind(address: string): Promise<void>;
    [Symbol.asyncIterator](): AsyncIterator<Buffer[]>;
  }
}
