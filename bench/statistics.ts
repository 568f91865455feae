/** Of several measurements, what is said. */

export interface Spread {
  median: number;
  min: number;
  max: number;
}

export function spread(values: readonly number[]): Spread {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) };
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  if (sorted.length % 2 === 1) return sorted[Math.floor(middle)] as number;
  return ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2;
}

/** The nearest rank: the smallest value that so large a share of them does not exceed. */
export function percentile(values: readonly number[] | Float64Array, share: number): number {
  const sorted = Float64Array.from(values).toSorted();
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

/** Of moments, how many lie in the fullest span of so long: its begin counts, its end does not. */
export function mostWithin(moments: readonly number[], span: number): number {
  const sorted = moments.toSorted((a, b) => a - b);
  let most = 0;
  let first = 0;
  for (const [at, moment] of sorted.entries()) {
    while (moment - (sorted[first] as number) >= span) first++;
    most = Math.max(most, at - first + 1);
  }
  return most;
}

export interface Centre {
  estimate: number;
  low: number;
  high: number;
}

/** Fewer pairs have no interval of 95 %. */
export const PAIRS_MIN = 6;
/** On each side. */
const OUTSIDE = 0.025;

/**
 * Where the differences of pairs have their centre: the estimate of Hodges and Lehmann, and the 95 % interval of Wilcoxon's
 * signed-rank test (Hollander, Wolfe and Chicken, Nonparametric Statistical Methods, 3.2 and 3.3; `wilcox.test` with
 * `conf.int` in R). It supposes that they lie evenly to both sides of it, as they do where both of a pair are measured in
 * the same way, and not that they are normal: one measurement that something else on the machine has spoilt moves it little.
 * NaN if a difference is no number, or without bounds.
 */
export function centreOf(differences: readonly number[]): Centre {
  if (!differences.every(Number.isFinite)) return { estimate: Number.NaN, low: Number.NaN, high: Number.NaN };
  const means = differences.flatMap((a, at) => differences.slice(at).map((b) => (a + b) / 2)).toSorted((a, b) => a - b);
  const outside = signedRankOutside(differences.length);
  if (outside < 0) throw new RangeError(`${differences.length} pairs are too few: ${PAIRS_MIN} at least`);
  return {
    estimate: median(means),
    low: means[outside] as number,
    high: means[means.length - 1 - outside] as number,
  };
}

/** The largest rank sum that so many pairs without a difference reach, or stay below, at most once in forty. -1: none. */
export function signedRankOutside(pairs: number): number {
  // Of each sum its probability: each rank counts or does not, as a coin falls.
  let chances = [1];
  for (let rank = 1; rank <= pairs; rank++) {
    const sums = chances.length + rank;
    const before = chances;
    chances = Array.from({ length: sums }, (_, sum) => ((before[sum] ?? 0) + (before[sum - rank] ?? 0)) / 2);
  }
  let sum = -1;
  for (let chance = chances[0] as number; chance <= OUTSIDE; chance += chances[sum + 1] as number) sum += 1;
  return sum;
}
