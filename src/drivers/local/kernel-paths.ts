/** What is not to be read: memory, addresses, keys and devices of the host's kernel. */
export const maskedPaths: readonly string[] = [
  "/proc/acpi",
  "/proc/asound",
  "/proc/config.gz",
  "/proc/interrupts",
  "/proc/kallsyms",
  "/proc/kcore",
  "/proc/keys",
  "/proc/key-users",
  "/proc/kmsg",
  "/proc/kpagecgroup",
  "/proc/kpagecount",
  "/proc/kpageflags",
  "/proc/latency_stats",
  "/proc/modules",
  "/proc/sched_debug",
  "/proc/scsi",
  "/proc/slabinfo",
  "/proc/timer_list",
  "/proc/timer_stats",
  "/proc/vmallocinfo",
];

/**
 * What is not to be written: settings of the host's kernel.
 *
 * `/proc/sys/user` is left out: there the agent, who alone has the right, forbids new namespaces before anything else runs.
 */
export const readonlyPaths: readonly string[] = [
  "/proc/bus",
  "/proc/driver",
  "/proc/fs",
  "/proc/irq",
  "/proc/mtrr",
  "/proc/pressure",
  "/proc/sys/abi",
  "/proc/sys/debug",
  "/proc/sys/dev",
  "/proc/sys/fs",
  "/proc/sys/kernel",
  "/proc/sys/net",
  "/proc/sys/sunrpc",
  "/proc/sys/vm",
  "/proc/sysrq-trigger",
];
