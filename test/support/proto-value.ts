/** JSON as a client of protobuf writes it: google.protobuf.Value. */
type ProtoValue = Record<string, unknown>;

export function toProtoValue(value: unknown): ProtoValue {
  if (value === null || value === undefined) return { nullValue: 0 };
  if (typeof value === "boolean") return { boolValue: value };
  if (typeof value === "number") return { numberValue: value };
  if (typeof value === "string") return { stringValue: value };
  if (Array.isArray(value)) return { listValue: { values: value.map(toProtoValue) } };
  const fields = Object.entries(value).map(([key, each]) => [key, toProtoValue(each)]);
  return { structValue: { fields: Object.fromEntries(fields) } };
}

// oxlint-disable-next-line typescript/no-explicit-any -- one of six shapes, told apart below
export function fromProtoValue(value: any): unknown {
  if (value.listValue) return (value.listValue.values ?? []).map(fromProtoValue);
  if (value.structValue) {
    const fields = Object.entries(value.structValue.fields ?? {});
    return Object.fromEntries(fields.map(([key, each]) => [key, fromProtoValue(each)]));
  }
  return value.stringValue ?? value.numberValue ?? value.boolValue ?? null;
}
