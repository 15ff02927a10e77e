export { e2b } from "./driver.ts";
export { type E2bOptions, e2bOptionsFrom } from "./options.ts";
