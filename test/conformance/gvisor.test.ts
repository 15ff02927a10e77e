import { gvisor } from "../../src/drivers/gvisor/index.ts";
import { subject } from "./local-driver.ts";
import { conformance } from "./suite.ts";

await conformance(await subject("gvisor", gvisor));
