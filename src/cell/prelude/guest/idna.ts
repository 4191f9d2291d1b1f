/** The segment for hosts that are not plain ASCII. */
import { loadFrom } from "./parts.ts";

export default loadFrom([{ names: ["tr46"], load: () => ({ tr46: require("tr46/index.js") }) }]);
