/** How much a snapshot holds. */
export function sizes(): readonly string[] {
  return ["alter table snapshots add column size_bytes double precision not null default 0"];
}
