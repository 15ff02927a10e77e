import type { ControlChannel } from "./control.ts";

/** How long a machine stays busy after its last use, so that quick calls do not tell the supervisor each time. Milliseconds. */
const lingerMs = 50;

/** Counts uses of a machine and tells its supervisor when they begin and are over. */
export interface Uses {
  /** A use begins; call what it returns when it is over. */
  begin(): () => void;
}

export function uses(control: Pick<ControlChannel, "setBusy">): Uses {
  let open = 0;
  let busy = false;
  let idleTimer: NodeJS.Timeout | undefined;
  const rest = (): void => {
    idleTimer = undefined;
    if (open > 0) return;
    busy = false;
    control.setBusy(false);
  };
  return {
    begin() {
      open += 1;
      if (!busy) {
        busy = true;
        control.setBusy(true);
      }
      let over = false;
      return () => {
        if (over) return;
        over = true;
        open -= 1;
        if (open === 0 && idleTimer === undefined) idleTimer = setTimeout(rest, lingerMs).unref();
      };
    },
  };
}
