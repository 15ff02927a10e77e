import type { Template, Templates } from "../images/templates.ts";
import { SandboxError } from "../core/errors.ts";
import type { TemplateCatalog, TemplateFacts } from "../server/life/template-catalog.ts";

/** The host's templates as the server asks for them. */
export function templateCatalog(templates: Templates): TemplateCatalog {
  return {
    async find(name) {
      try {
        return factsOf(await templates.resolve(name));
      } catch (cause) {
        const { code } = SandboxError.from(cause);
        if (code === "not-found" || code === "invalid") return undefined;
        throw cause;
      }
    },
    list: async () => (await templates.list()).map(factsOf),
  };
}

function factsOf({ name, resources, digest, createdAt }: Template): TemplateFacts {
  return { name, resources, digest, createdAt };
}
