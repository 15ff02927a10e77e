/** RFC 3339 in UTC with milliseconds: the one form of time in the store, which sorts as it reads. */
export function timeNow(): string {
  return new Date().toISOString();
}

export function timeAt(ms: number): string {
  return new Date(ms).toISOString();
}
