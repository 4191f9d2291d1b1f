/** What to do about an exception of a service, where its message says which mistake it was. */

const NODE_GLOBAL =
  /^(require|process|Buffer|global|module|exports|__dirname|__filename|setImmediate) is not defined$/;
const NOT_DECLARED = /^(.{1,64}) is not defined$/;

/** Undefined when the message says nothing that is known. */
export function adviceOn(name: string, message: string): string | undefined {
  const node = NODE_GLOBAL.exec(message)?.[1];
  if (node !== undefined) {
    return `Services have web-standard globals (docs/globals.md) and no ${node}; settings come as solo.env, data is kept in solo.state and solo.kv.`;
  }
  const missing = name === "ReferenceError" ? NOT_DECLARED.exec(message)?.[1] : undefined;
  if (missing === "solo")
    return "solo is no global: it is the first argument of every handler, as in increment(solo, by).";
  if (missing !== undefined)
    return `Nothing in the source declares or imports ${missing}; docs/globals.md lists the globals.`;
  if (name === "Error" && message === "Not supported")
    return "import() is not there while a service runs: import at the top of the file, and bundle packages.";
  if (message.startsWith("The default export"))
    return "A service is an object: export default { calls: { hi(solo, name) { … } } }, or for HTTP export default { fetch(request, solo) { … } }.";
  return undefined;
}
