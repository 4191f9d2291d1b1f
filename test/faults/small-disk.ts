/** A small file system of the test's own, to be filled. Needs the right to mount one. */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const mount = (...args: string[]): boolean => spawnSync("mount", args).status === 0;

export const canMount = ((): boolean => {
  const probe = mkdtempSync(join(tmpdir(), "solo-mount-"));
  const can = process.getuid?.() === 0 && mount("-t", "tmpfs", "-o", "size=1m", "tmpfs", probe);
  if (can) spawnSync("umount", [probe]);
  rmSync(probe, { recursive: true });
  return can;
})();

export interface SmallDisk extends Disposable {
  readonly path: string;
  readonly dataDir: string;
}

/** `size`: as `mount` takes it. */
export function smallDisk(size: string): SmallDisk {
  const path = mkdtempSync(join(tmpdir(), "solo-disk-"));
  mount("-t", "tmpfs", "-o", `size=${size}`, "tmpfs", path);
  const dataDir = join(path, "data");
  mkdirSync(dataDir);
  return {
    path,
    dataDir,
    [Symbol.dispose]() {
      spawnSync("umount", [path]);
      rmSync(path, { recursive: true, force: true });
    },
  };
}

/** Takes what is left of the disk, to the last block. */
export function fill(file: string, disk: string): void {
  const { bavail, bsize } = statfsSync(disk);
  writeFileSync(file, Buffer.alloc(bavail * bsize));
}
