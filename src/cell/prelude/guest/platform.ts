/**
 * The prelude's own view of the web platform, which guest code cannot change.
 *
 * 1. Every part is loaded at its first use, by whoever needs it first.
 * 2. The bundle rewrites free names of the platform (`ReadableStream`, `URL`, …) in
 *    third-party code to members of this object, so that a guest that overwrites
 *    `globalThis.URL` breaks itself and nobody else.
 */
import type { GuestHost } from "../host.ts";

/** It holds classes and functions of every shape; each user knows what it takes. */
export type Platform = Record<string, any>;

/** The parameters of every segment's outer function; bundle.ts writes it. */
declare const __soloHost: GuestHost;
declare const __soloPlatform: Platform;

export const host: GuestHost = __soloHost;
export const platform: Platform = __soloPlatform;
