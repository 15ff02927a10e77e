import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { publicSources, sourceLines } from "./debian-sources.ts";
import { finishScript, putScript } from "./image-scripts.ts";
import type { ImagePlan } from "./plan.ts";

/** Everything on the image's paths is done from inside it, so no link of the image is followed by the host. */
const inside = `inside() {
  chroot "$root" /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \\
    HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive /bin/sh -eu -c "$@"
}`;

/** Writes the script that mmdebstrap calls with the image's root when all packages are in it, and returns its path. */
export async function writeHook(directory: string, plan: ImagePlan): Promise<string> {
  await mkdir(directory, { mode: 0o700 });
  const put = async (name: string, content: string | Buffer): Promise<string> => {
    await writeFile(join(directory, name), content, { mode: 0o600 });
    return quoted(join(directory, name));
  };
  const copies: string[] = [];
  for (const [index, { to, mode, content }] of plan.files.entries()) {
    const file = await put(`file-${index}`, content);
    copies.push(`inside ${quoted(putScript)} sh ${quoted(to)} ${mode} <${file}`);
  }
  const sources = sourceLines(plan.suite, publicSources).join("\n");
  const finish = `${finishScript}printf '%s\\n' ${quoted(sources)} >/etc/apt/sources.list\n`;
  const script = [
    "set -eu",
    "root=$1",
    inside,
    "echo 'cofferdam: files'",
    ...copies,
    "echo 'cofferdam: run'",
    `inside "$(cat ${await put("run.sh", `${plan.run}\n:`)})" </dev/null`,
    "echo 'cofferdam: finish'",
    `inside "$(cat ${await put("finish.sh", finish)})" </dev/null`,
  ];
  const path = join(directory, "hook.sh");
  await writeFile(path, `${script.join("\n")}\n`, { mode: 0o700 });
  await chmod(path, 0o700);
  return path;
}

/** Text as one word of a shell. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
