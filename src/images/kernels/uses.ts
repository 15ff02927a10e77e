import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { isMissing } from "../file-errors.ts";
import { names } from "../uses.ts";
import { type StoredKernel, currentKernel, storedKernels } from "./store.ts";

const factsSchema = z.object({ kernel: z.string() });

/** A kernel in a list. */
export interface ListedKernel extends StoredKernel {
  /** Whether new machines boot it. */
  readonly current: boolean;
  /** Ids of the machines that have booted it, paused ones too. */
  readonly machines: readonly string[];
}

export async function listKernels(stateDir: string): Promise<readonly ListedKernel[]> {
  const current = await currentKernel(stateDir);
  const uses = await machinesByKernel(stateDir);
  return (await storedKernels(stateDir)).map((kernel) => ({
    ...kernel,
    current: kernel.kernel === current?.kernel,
    machines: uses.get(kernel.kernel) ?? [],
  }));
}

/** Removes the kernels that no machine uses and none will boot. Returns their versions. */
export async function removeUnusedKernels(stateDir: string): Promise<readonly string[]> {
  const unused = (await listKernels(stateDir)).filter(
    ({ current, machines }) => !current && machines.length === 0,
  );
  for (const { directory } of unused) await rm(directory, { recursive: true, force: true });
  return unused.map(({ kernel }) => kernel);
}

/** Machines by the kernel that stands in their facts. */
async function machinesByKernel(stateDir: string): Promise<ReadonlyMap<string, readonly string[]>> {
  const uses = new Map<string, string[]>();
  for (const id of await names(join(stateDir, "machines"))) {
    const kernel = await kernelOf(join(stateDir, "machines", id, "facts.json"));
    if (kernel !== undefined) uses.set(kernel, [...(uses.get(kernel) ?? []), id]);
  }
  return uses;
}

async function kernelOf(file: string): Promise<string | undefined> {
  try {
    return factsSchema.safeParse(JSON.parse(await readFile(file, "utf8"))).data?.kernel;
  } catch (error) {
    if (isMissing(error) || error instanceof SyntaxError) return undefined;
    throw error;
  }
}
