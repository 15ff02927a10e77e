export const sandboxStates = [
  "creating",
  "running",
  "pausing",
  "paused",
  "resuming",
  "ended",
] as const;

export type SandboxState = (typeof sandboxStates)[number];

/** Every move that a sandbox makes. `pausing` falls back to `running`, `resuming` to `paused`, when the attempt fails. */
const moves: Readonly<Record<SandboxState, readonly SandboxState[]>> = {
  creating: ["running", "ended"],
  running: ["pausing", "ended"],
  pausing: ["paused", "running", "ended"],
  paused: ["resuming", "ended"],
  resuming: ["running", "paused", "ended"],
  ended: [],
};

/** States in which a sandbox takes part of its tenant's limits. */
export const liveStates: readonly SandboxState[] = ["creating", "running", "pausing", "resuming"];

export function isMove(from: SandboxState, to: SandboxState): boolean {
  return moves[from].includes(to);
}
