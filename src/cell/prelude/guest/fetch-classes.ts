/**
 * Headers, FormData, Request and Response: undici's, which Node's own fetch is made of.
 * They are one part, as they register converters with each other while they load.
 */
import { FormData } from "undici/lib/web/fetch/formdata.js";
import { Headers } from "undici/lib/web/fetch/headers.js";
// Before Request, which takes Response's converter of bodies while it loads.
import { Response } from "undici/lib/web/fetch/response.js";
import { Request } from "undici/lib/web/fetch/request.js";

export { FormData, Headers, Request, Response };
