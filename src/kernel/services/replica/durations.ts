/** Durations in buckets that grow by a fifth: a percentile is right to within that. */
const LEAST_MS = 0.02;
const GROWTH = 1.2;
const LOG_GROWTH = Math.log(GROWTH);

/** Up to about an hour. */
export const SLOTS = 100;

export const bucketOf = (ms: number): number =>
  ms <= LEAST_MS ? 0 : Math.min(SLOTS - 1, Math.ceil(Math.log(ms / LEAST_MS) / LOG_GROWTH));

const upperMs = (bucket: number): number => LEAST_MS * GROWTH ** bucket;

/** The upper end of the bucket that holds it; 0 when nothing was counted. */
export function p95Of(counts: readonly Uint32Array[]): number {
  let total = 0;
  for (const each of counts) for (const count of each) total += count;
  if (total === 0) return 0;
  let left = Math.ceil(total * 0.95);
  for (let bucket = 0; bucket < SLOTS; bucket += 1) {
    for (const each of counts) left -= each[bucket]!;
    if (left <= 0) return upperMs(bucket);
  }
  return upperMs(SLOTS - 1);
}
