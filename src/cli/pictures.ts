import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { CodeResult } from "../core/code.ts";
import { hostFileError } from "./host-files.ts";

/** A picture of a result, in the form that most programs show. */
export interface Picture {
  readonly extension: "png" | "jpg" | "svg" | "pdf";
  readonly bytes: Uint8Array;
}

/** The picture of a result; `undefined` when it has none. */
export function pictureOf(result: CodeResult): Picture | undefined {
  if (result.png !== undefined) return { extension: "png", bytes: decoded(result.png) };
  if (result.jpeg !== undefined) return { extension: "jpg", bytes: decoded(result.jpeg) };
  if (result.svg !== undefined) return { extension: "svg", bytes: Buffer.from(result.svg) };
  if (result.pdf !== undefined) return { extension: "pdf", bytes: decoded(result.pdf) };
  return undefined;
}

function decoded(base64: string): Uint8Array {
  return Buffer.from(base64, "base64");
}

/** Saves pictures one after the other as `<name>-1.png`, `<name>-2.png`, … */
export interface Album {
  /** Returns the path. Throws `denied`, `disk-full`. */
  save(picture: Picture): Promise<string>;
}

/** An album in a directory, which is made when the first picture comes. */
export function album(directory: string, name: string): Album {
  let count = 0;
  return {
    async save({ extension, bytes }) {
      count += 1;
      const path = join(directory, `${name}-${count}.${extension}`);
      try {
        await mkdir(directory, { recursive: true });
        await writeFile(path, bytes);
      } catch (cause) {
        throw hostFileError("pictures", path, cause);
      }
      return path;
    },
  };
}
