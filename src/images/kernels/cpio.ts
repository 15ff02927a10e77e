/** A file, or a directory where there is no content, of an archive. */
export interface ArchiveEntry {
  /** From the archive's root, without a slash before it. */
  readonly path: string;
  readonly mode: number;
  readonly content: Buffer | undefined;
}

const magic = "070701";
const directory = 0o040000;
const file = 0o100000;

/** An archive as a kernel unpacks it into its first file system. The same entries give the same bytes. */
export function cpio(entries: readonly ArchiveEntry[]): Buffer {
  const parts = entries.flatMap(({ path, mode, content }, index) =>
    record({
      name: path,
      inode: index + 1,
      mode: mode | (content === undefined ? directory : file),
      content: content ?? Buffer.alloc(0),
    }),
  );
  const end = record({ name: "TRAILER!!!", inode: 0, mode: 0, content: Buffer.alloc(0) });
  return Buffer.concat([...parts, ...end]);
}

interface ArchiveRecord {
  readonly name: string;
  readonly inode: number;
  readonly mode: number;
  readonly content: Buffer;
}

/** Owner, group, time and devices are 0. */
function record({ name, inode, mode, content }: ArchiveRecord): readonly Buffer[] {
  const named = Buffer.from(`${name}\0`);
  const fields = [inode, mode, 0, 0, 1, 0, content.length, 0, 0, 0, 0, named.length, 0];
  const head = magic + fields.map((value) => value.toString(16).padStart(8, "0")).join("");
  const headed = Buffer.concat([Buffer.from(head), named]);
  return [headed, padding(headed.length), content, padding(content.length)];
}

function padding(length: number): Buffer {
  return Buffer.alloc((4 - (length % 4)) % 4);
}
