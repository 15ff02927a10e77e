import { fileURLToPath } from "node:url";

/** The package's own directory, with a slash at its end; the same from `src/` and from `dist/`. */
export const packageRoot: string = fileURLToPath(new URL("../../", import.meta.url));
