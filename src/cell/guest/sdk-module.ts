/** What `import … from "solo"` gives inside a guest: the run-time half of src/sdk. */
export const SDK_MODULE = `
export const defineService = (definition) => definition;
export class ServiceError extends Error {
  constructor(code, message) { super(message); this.name = "ServiceError"; this.code = code; }
}
`;
