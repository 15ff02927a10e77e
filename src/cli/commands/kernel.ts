import { Command } from "commander";
import { updateKernel } from "../../images/kernels/fetch.ts";
import { type ListedKernel, listKernels, removeUnusedKernels } from "../../images/kernels/uses.ts";
import type { StoredKernel } from "../../images/kernels/store.ts";
import { requireRoot } from "../assemble.ts";
import { type Context, localHostOf } from "../context.ts";
import { progress } from "../progress.ts";
import { jsonText } from "../report.ts";
import { readableMs, table } from "../table.ts";
import type { Terminal } from "../terminal.ts";

interface KernelFlags {
  readonly json?: true;
}

const examples = `
Examples:
  cofferdam kernel ls
  cofferdam kernel update`;

/** `cofferdam kernel` */
export function kernelCommand(context: Context): Command {
  return new Command("kernel")
    .description("the kernels that machines with kernels of their own boot: list and update")
    .addHelpText("after", examples)
    .addCommand(list(context))
    .addCommand(update(context));
}

function list(context: Context): Command {
  const command = new Command("ls")
    .alias("list")
    .description("list the kernels that are on this host")
    .option("--json", "print one JSON document");
  return command.action(async (flags: KernelFlags) => {
    const { stdout, stderr } = context.terminal;
    requireRoot();
    const kernels = await listKernels(localHostOf(command).stateDir);
    if (flags.json === true) return stdout.write(jsonText(kernels.map(shown)));
    if (kernels.length === 0)
      return stderr.write("No kernel is here yet; cofferdam kernel update fetches the newest\n");
    return stdout.write(kernelTable(kernels, new Date()));
  });
}

function update(context: Context): Command {
  const command = new Command("update")
    .description(
      "fetch the newest kernel of Debian's security updates for new machines; one that a machine uses is kept",
    )
    .option("--json", "print one JSON document");
  return command.action(async (flags: KernelFlags) => {
    const { stateDir } = localHostOf(command);
    const { terminal, interruption } = context;
    requireRoot();
    const { kernel, vmlinuxSha256, source } = await fetched(
      stateDir,
      terminal,
      interruption.signal,
    );
    const removed = await removeUnusedKernels(stateDir);
    if (flags.json === true)
      return terminal.stdout.write(jsonText({ kernel, vmlinuxSha256, source, removed }));
    const also = removed.length === 0 ? "" : `; removed ${removed.join(", ")}`;
    return terminal.stdout.write(`new machines boot ${kernel}${also}\n`);
  });
}

async function fetched(
  stateDir: string,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<StoredKernel> {
  const shownStages = progress(terminal.stderr, "kernel");
  try {
    return await updateKernel(stateDir, {
      signal,
      onStage: (stage) => shownStages.show({ stage, detail: "", percent: undefined }),
    });
  } finally {
    shownStages.stop();
  }
}

function shown(listed: ListedKernel): unknown {
  const { directory: _, vmlinux: __, modules: ___, ...kernel } = listed;
  return kernel;
}

function kernelTable(kernels: readonly ListedKernel[], now: Date): string {
  return table(
    ["KERNEL", "PACKAGE", "SHA-256", "AGE", "STATE"],
    kernels.map(({ kernel, package: name, vmlinuxSha256, fetchedAt, current, machines }) => [
      kernel,
      name,
      vmlinuxSha256.slice(0, 12),
      readableMs(now.getTime() - new Date(fetchedAt).getTime()),
      [current ? "new machines boot it" : "kept", `${machines.length} use it`].join(", "),
    ]),
  );
}
