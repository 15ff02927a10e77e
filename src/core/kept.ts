/** What outlives a pause or stands in a snapshot: the processes and all, or the files alone. */
export type Kept = "memory" | "files";
