export interface Order {
  id: string;
  symbol: string;
  quantity: number;
}
export declare function nextOrders(): AsyncIterable<Order>;
export declare function reportOrder(
  id: string,
  outcome: "accepted" | "cancelled" | "unknown",
  code?: string,
): Promise<void>;
export declare function committedPosition(sessionId: string): Promise<number>;
export declare function park(messages: readonly Buffer[]): Promise<void>;
