/** The event files of a directory. A file is named after its first event. */
import { readdirSync } from "node:fs";
import { join } from "node:path";

export interface EventFileName {
  readonly firstId: number;
  readonly path: string;
}

const NAME = /^events-(\d{16})\.db$/;

export const eventFileName = (firstId: number): string =>
  `events-${String(firstId).padStart(16, "0")}.db`;

/** Oldest first. */
export function listEventFiles(eventsDir: string): EventFileName[] {
  const files: EventFileName[] = [];
  for (const name of readdirSync(eventsDir)) {
    const match = NAME.exec(name);
    if (match !== null) files.push({ firstId: Number(match[1]), path: join(eventsDir, name) });
  }
  return files.sort((a, b) => a.firstId - b.firstId);
}
