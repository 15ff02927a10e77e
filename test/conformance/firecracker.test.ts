import { firecracker } from "../../src/drivers/firecracker/index.ts";
import { subject } from "./local-driver.ts";
import { conformance } from "./suite.ts";

await conformance(await subject("firecracker", firecracker));
