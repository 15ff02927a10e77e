import { transform } from "sucrase";

/** TypeScript without its types; lines stay where they were. Throws SyntaxError. */
export function withoutTypes(code: string): string {
  try {
    return transform(code, {
      transforms: ["typescript"],
      disableESTransforms: true,
      keepUnusedImports: true,
    }).code;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    throw new SyntaxError(error.message.replace(/^Error transforming [^:]*: /, ""), {
      cause: undefined,
    });
  }
}
