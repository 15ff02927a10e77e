import type { Machine } from "../../core/driver.ts";
import type { SandboxSpec } from "../../core/spec.ts";
import { templates } from "../../images/templates.ts";
import { recordOverride } from "../local/override-audit.ts";
import { createMachine } from "./create.ts";
import { type Engine, connectEngine } from "./engine.ts";
import { guestVolume } from "./guest-volume.ts";
import { type EngineImage, foreignImage, templateImage } from "./images.ts";
import type { Settings } from "./options.ts";
import type { Preset, Ready } from "./preset.ts";
import { untilAborted } from "./until-aborted.ts";

/** Makes machines of one driver. */
export interface Maker {
  /** The Engine and the runtime that may be used. Throws with the mend. */
  readonly usable: () => Promise<Ready>;
  /** CVE of each known escape that was overridden when the runtime was last looked at. */
  readonly overridden: readonly string[];
  make(spec: SandboxSpec, signal: AbortSignal | undefined): Promise<Machine>;
}

/** How long what an Engine has said of itself is taken for true. Milliseconds. */
const knownMs = 10_000;

export function machineMaker(preset: Preset, settings: Settings): Maker {
  const { stateDir, images } = settings;
  const known = templates(stateDir);
  let overridden: readonly string[] = [];
  let latest: { readonly at: number; readonly ready: Promise<Ready> } | undefined;
  const look = async (): Promise<Ready> => {
    const engine = await connectEngine(settings.socket());
    const runtime = await preset.runtimeOf(engine);
    ({ overridden } = runtime);
    return { engine, runtime };
  };
  const recent = (): Promise<Ready> => {
    if (latest !== undefined && Date.now() - latest.at < knownMs) return latest.ready;
    const ready = look();
    latest = { at: Date.now(), ready };
    ready.catch(() => {
      latest = undefined;
    });
    return ready;
  };
  const imageOf = async (engine: Engine, template: string): Promise<EngineImage> => {
    const own = Object.hasOwn(images, template) ? images[template] : undefined;
    return own === undefined ? templateImage(engine, known, template) : foreignImage(engine, own);
  };
  return {
    usable: look,
    get overridden() {
      return overridden;
    },
    async make(spec, signal) {
      const { engine, runtime } = await recent();
      note(preset, stateDir, { engine, runtime });
      const image = await untilAborted(imageOf(engine, spec.template), signal);
      const volume = await guestVolume(engine, stateDir, image.id);
      const { name } = runtime;
      return createMachine({
        preset,
        engine,
        stateDir,
        spec,
        signal,
        image,
        volume,
        runtime: name,
      });
    },
  };
}

function note({ name: driver }: Preset, stateDir: string, { engine, runtime }: Ready): void {
  const { name = engine.defaultRuntime, version, overridden: escapes } = runtime;
  if (escapes.length > 0) recordOverride(stateDir, { driver, runtime: name, version, escapes });
}
