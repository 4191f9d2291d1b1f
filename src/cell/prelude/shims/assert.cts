/** node:assert, as far as undici's fetch classes use it. CommonJS, for they call the module. */
function assert(condition: unknown, message = "Assertion failed"): asserts condition {
  if (!condition) throw new Error(message);
}

module.exports = assert;
