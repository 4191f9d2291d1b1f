/** `solo/client`: talk to a Solo kernel from TypeScript. */
export { SoloError } from "#base/errors.ts";
export type { ErrorCode } from "#base/errors.ts";
export { createClient } from "#client/client.ts";
export type { Client, ClientOptions, RequestOptions } from "#client/client.ts";
export type { ClientTls } from "#client/tls-fetch.ts";
export { findKernel } from "#client/find-kernel.ts";
export type { FindKernelOptions, FoundKernel } from "#client/find-kernel.ts";
