/** The guest's end of the wall as one script: an expression that makes a bridge. */
import { createBridge } from "./bridge.ts";

export default createBridge;
