/// <reference types="node" preserve="true" />
// TypeScript 6 and newer load no types that are not named.
/**
 * resplice/testing: tools to test your own service. The main entry point imports nothing of it.
 *
 * @module testing
 */
import "../supported-node.ts";
export type { Direction, Faults } from "./faults.ts";
export { linkPair, type LinkPair, type LinkPairOptions, type VirtualClock } from "./pair.ts";
export { type FaultRelay, faultRelay } from "./relay.ts";
