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
    constructor(
      server: HttpServer,
      options?: { pingInterval: number; pingTimeout: number; connectionStateRecovery: object },
    );
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
    timeout(ms: number): { emit(event: string, message: Buffer, done: (error: Error | null) => void): void };
  }
  export function io(url: string, options: { transports: string[]; timeout?: number }): Socket;
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
  export function connect(options: {
    servers: string;
    maxReconnectAttempts?: number;
    pingInterval?: number;
    maxPingOut?: number;
    timeout?: number;
  }): Promise<NatsConnection>;
  export function nanos(ms: number): number;
}

declare module "@nats-io/jetstream" {
  import type { NatsConnection } from "@nats-io/transport-node";
  export const AckPolicy: { readonly Explicit: "explicit" };
  export const RetentionPolicy: { readonly Workqueue: "workqueue" };
  interface Manager {
    streams: { add(config: { name: string; subjects: string[]; retention: string }): Promise<unknown> };
    consumers: {
      add(stream: string, config: { durable_name: string; ack_policy: string; ack_wait?: number }): Promise<unknown>;
    };
  }
  interface JsMsg {
    data: Uint8Array;
    ack(): void;
  }
  interface Client {
    publish(subject: string, payload: Uint8Array, options?: { msgID: string; timeout: number }): Promise<unknown>;
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

declare module "mqtt" {
  import type { EventEmitter } from "node:events";
  export interface MqttClient extends EventEmitter<{ message: [topic: string, message: Buffer]; error: [Error] }> {
    subscribeAsync(topic: string, options: { qos: 0 | 1 | 2 }): Promise<unknown>;
    publish(topic: string, message: Buffer, options: { qos: 0 | 1 | 2 }, done: (error?: Error) => void): void;
  }
  const mqtt: {
    connectAsync(options: {
      host: string;
      port: number;
      clientId: string;
      clean: boolean;
      keepalive: number;
      reschedulePings: boolean;
      connectTimeout: number;
    }): Promise<MqttClient>;
  };
  export default mqtt;
}

declare module "zeromq" {
  interface Options {
    heartbeatInterval: number;
    heartbeatTimeout: number;
    handshakeInterval: number;
  }
  class Connecting {
    constructor(options?: Options);
    connect(address: string): void;
    send(message: Buffer): Promise<void>;
  }
  class Receiving implements AsyncIterable<Buffer[]> {
    constructor(options?: Options);
    readonly lastEndpoint: string | null;
    bind(address: string): Promise<void>;
    [Symbol.asyncIterator](): AsyncIterator<Buffer[]>;
  }
  export class Push extends Connecting {}
  export class Pull extends Receiving {}
  export class Dealer extends Connecting implements AsyncIterable<Buffer[]> {
    [Symbol.asyncIterator](): AsyncIterator<Buffer[]>;
  }
  export class Router extends Receiving {
    send(parts: Buffer[]): Promise<void>;
  }
}
