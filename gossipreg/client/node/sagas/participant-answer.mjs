// What a participant answers to a step or an undo. As `gossipreg/client/sagas/participant_answer.py` decides.

import { BadParams, TooLarge } from "../errors.mjs";
import { shown } from "../given.mjs";
import { jsonText } from "./saga-step.mjs";

/** A saga keeps 64 KiB of an answer. */
const MAX_BODY_BYTES = 256 * 1024;
/** A step that gets one of these is sent again, as after a 5xx or no answer. Any other 3xx or 4xx refuses it. */
const TRIED_AGAIN = new Set([401, 403, 404, 408, 409, 423, 425, 429]);
/** What a saga takes for undone beside 2xx, where an undo gets it. */
export const UNDONE_TOO = new Set([404, 410]);
/** Another one could not be sent as a header, and the answer that is kept would fail for ever. */
const CONTENT_TYPE = /^[ -~]{0,256}$/;
export const NO_CONTENT = 204;
export const GONE = 410;

/** See sagas.d.ts. */
export class ParticipantAnswer {
  constructor(status = 200, data = undefined, { contentType, isRepeat = false } = {}) {
    if (!Number.isInteger(status) || status < 200 || status > 599) {
      throw new BadParams(`status is ${shown(status)}: give a status of HTTP from 200 to 599`);
    }
    const [body, found] = content(data);
    const type = contentType ?? found;
    if (typeof type !== "string" || !CONTENT_TYPE.test(type)) {
      throw new BadParams(`contentType is ${shown(contentType)}: give one of printable ASCII, such as image/png`);
    }
    if (body.length > MAX_BODY_BYTES) {
      throw new TooLarge(`an answer of ${body.length} bytes is too large: at most ${MAX_BODY_BYTES} are kept`);
    }
    this.status = status;
    this.body = body;
    this.contentType = type;
    this.isRepeat = isRepeat;
    Object.freeze(this);
  }

  /** What the program's work has returned: undefined is 204, anything that is no answer is 200 with it. */
  static of(result) {
    if (result instanceof ParticipantAnswer) return result;
    return result === undefined ? new ParticipantAnswer(NO_CONTENT) : new ParticipantAnswer(200, result);
  }

  /** As it stands in the table. */
  static kept({ status, content_type, body }) {
    const data = body?.length ? body : undefined;
    return new ParticipantAnswer(Number(status), data, { contentType: content_type, isRepeat: true });
  }

  get isDone() {
    return this.status < 300;
  }

  /** Whether the saga takes it for certain that nothing was done. */
  get isRefusal() {
    return this.status >= 300 && this.status < 500 && !TRIED_AGAIN.has(this.status);
  }

  send(response) {
    const headers = this.contentType ? { "content-type": this.contentType } : {};
    if (this.status !== NO_CONTENT) headers["content-length"] = this.body.length;
    response.writeHead(this.status, headers).end(this.body);
  }
}

function content(data) {
  if (data === undefined) return [Buffer.alloc(0), ""];
  if (ArrayBuffer.isView(data)) {
    return [Buffer.from(data.buffer, data.byteOffset, data.byteLength), "application/octet-stream"];
  }
  if (typeof data === "string") return [Buffer.from(data), "text/plain; charset=utf-8"];
  return [Buffer.from(jsonText("an answer", data)), "application/json"];
}
