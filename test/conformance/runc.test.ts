import { runc } from "../../src/drivers/runc/index.ts";
import { subject } from "./local-driver.ts";
import { conformance } from "./suite.ts";

await conformance(await subject("runc", runc));
