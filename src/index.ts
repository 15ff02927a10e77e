export {
  type ConnectOptions,
  type CreateOptions,
  type ListOptions,
  type PlaceOptions,
  Sandbox,
} from "./library/sandbox.ts";
export type { SandboxList } from "./library/sandbox-list.ts";
export { type DriverOption, defaultStateDir, driverNames } from "./library/choose-driver.ts";
export { createSandbox, openSandbox, type CreationFacts } from "./core/create.ts";
export {
  defaultLease,
  defaultResources,
  defaultTemplate,
  type SandboxOptions,
} from "./core/options.ts";
export type { DriverChoice } from "./core/sandbox.ts";
export type { SandboxInfo, SandboxMetrics } from "./core/sandbox-info.ts";
export type {
  CommandConnectOptions,
  CommandInfo,
  CommandLine,
  CommandOptions,
  Commands,
} from "./core/commands.ts";
export type { CommandHandle } from "./core/command-handle.ts";
export { CommandError, CommandExitError, type CommandResult } from "./core/command-result.ts";
export type {
  FileCallOptions,
  FileData,
  FileEntry,
  FileInfo,
  FileWriteOptions,
  SandboxFiles,
  WatchDirOptions,
  WrittenFile,
} from "./core/sandbox-files.ts";
export type { WatchHandle } from "./core/watch-handle.ts";
export type { Pty, PtyConnectOptions, PtyOptions } from "./core/pty.ts";
export type { ContextReference, CreateContextOptions, RunCodeOptions } from "./core/run-code.ts";
export type { Execution, ExecutionError, Logs, OutputMessage, Result } from "./core/execution.ts";
export { type CodeContext, type Language, languages } from "./core/code.ts";
export { type ErrorCode, type ErrorMeaning, SandboxError, meanings } from "./core/errors.ts";
export type { Enforcement, EnforcementReport } from "./core/enforcement.ts";
export type { EgressPolicy, Lease, Resources, SandboxSpec, SeccompProfile } from "./core/spec.ts";
export type {
  Availability,
  ByteChannel,
  Capability,
  Driver,
  EndReason,
  Isolation,
  Machine,
  MachineInfo,
  MachineMetrics,
} from "./core/driver.ts";
export type { WatchEvent } from "./core/files.ts";
