/** The segment that core-js fills. */
import { takeFromCoreJs } from "./core-js.ts";
import { loadFrom } from "./parts.ts";

export default loadFrom([
  {
    names: ["DOMException"],
    load: () =>
      takeFromCoreJs("DOMException", () => {
        require("core-js/modules/web.dom-exception.constructor.js");
        require("core-js/modules/web.dom-exception.stack.js");
        require("core-js/modules/web.dom-exception.to-string-tag.js");
      }),
  },
  {
    names: ["structuredClone"],
    load: () =>
      takeFromCoreJs("structuredClone", () => require("core-js/modules/web.structured-clone.js")),
  },
  {
    names: ["atob"],
    load: () => takeFromCoreJs("atob", () => require("core-js/modules/web.atob.js")),
  },
  {
    names: ["btoa"],
    load: () => takeFromCoreJs("btoa", () => require("core-js/modules/web.btoa.js")),
  },
]);
