/** Stack traces in the agent's own source: positions mapped, frames of ours left out. */
import { TraceMap, originalPositionFor } from "@jridgewell/trace-mapping";
import type { MapStackRequest } from "#wire/compiler.ts";

/** Lines and columns count from 1; what a guest writes with a 0 in it is no position. */
const POSITION = /([^\s()]+):([1-9]\d*):([1-9]\d*)/;

export function mapStack({ stack, maps }: MapStackRequest): string {
  const decoded = new Map<string, TraceMap>();
  const lines: string[] = [];
  for (const line of stack.split("\n")) {
    if (/\bsolo:\w+/.test(line) || line.includes("isolated-vm")) continue;
    const [whole, file, row, column] = POSITION.exec(line) ?? [];
    // A stack is the guest's own text: it may name anything, also `__proto__`.
    const map = file !== undefined && Object.hasOwn(maps, file) ? maps[file] : undefined;
    if (whole === undefined || file === undefined || !map) {
      lines.push(line);
      continue;
    }
    let trace = decoded.get(file);
    if (trace === undefined) decoded.set(file, (trace = new TraceMap(map)));
    const at = originalPositionFor(trace, { line: Number(row), column: Number(column) - 1 });
    const mapped = at.line === null ? whole : `${file}:${at.line}:${at.column + 1}`;
    lines.push(line.replace(whole, mapped));
  }
  return lines.join("\n");
}
