/** The segment with Node's util.inspect, as node-inspect-extracted has it. */
import { loadFrom } from "./parts.ts";

export default loadFrom([
  { names: ["formatter"], load: () => ({ formatter: require("node-inspect-extracted") }) },
]);
