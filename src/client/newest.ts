/** Maps that remember the newest of their entries, in the order in which they were set last. */

/** Sets the entry as the newest. Of more than `most` the oldest is forgotten. `most` is above 0. */
export function setNewest<K, V>(map: Map<K, V>, key: K, value: V, most: number): void {
  map.delete(key);
  map.set(key, value);
  if (map.size <= most) return;
  const [oldest = key] = map.keys();
  map.delete(oldest);
}
