/** Shapes of the bundled packages that publish no types for what is used here. */

declare module "event-target-shim" {
  export class Event<T extends string = string> {
    constructor(type: T, options?: object);
    readonly type: T;
  }
  export class EventTarget {
    addEventListener(type: string, listener: unknown, options?: unknown): void;
    removeEventListener(type: string, listener: unknown, options?: unknown): void;
    dispatchEvent(event: Event): boolean;
  }
  export function getEventAttributeValue(target: EventTarget, type: string): unknown;
  export function setEventAttributeValue(
    target: EventTarget,
    type: string,
    listener: unknown,
  ): void;
  export function setErrorHandler(handler: (error: Error) => void): void;
  export function setWarningHandler(handler: (warning: object) => void): void;
}

declare module "undici/lib/web/fetch/formdata.js" {
  export const FormData: unknown;
}

declare module "undici/lib/web/fetch/headers.js" {
  export const Headers: unknown;
  export class HeadersList {
    append(name: string, value: string, isLowerCase: boolean): void;
  }
}

declare module "undici/lib/web/fetch/request.js" {
  export const Request: unknown;
}

declare module "undici/lib/web/fetch/response.js" {
  import type { ExtractedBody } from "undici/lib/web/fetch/body.js";
  import type { HeadersList } from "undici/lib/web/fetch/headers.js";

  export interface InnerResponse {
    readonly status: number;
    readonly statusText: string;
    readonly headersList: HeadersList;
    readonly urlList: readonly URL[];
    readonly body: ExtractedBody | null;
  }
  export const Response: unknown;
  export function makeResponse(init: InnerResponse): InnerResponse;
  export function fromInnerResponse(inner: InnerResponse, guard: "immutable"): globalThis.Response;
}

declare module "undici/lib/web/fetch/body.js" {
  export interface ExtractedBody {
    readonly stream: ReadableStream;
  }
  export function extractBody(source: ReadableStream<Uint8Array>): [ExtractedBody, string | null];
}
