// Server-sent events (HTML standard, section 9.2) out of the body of a response: an EventSource cannot send a token.

/** Give `take(kind, data)` each event of the response; it ends when the stream does. */
export async function readEvents(response, take, onBytes) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const parser = new EventParser(take);
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    onBytes();
    parser.feed(value);
  }
}

export class EventParser {
  constructor(take) {
    this.take = take;
    this.rest = "";
    this.kind = "message";
    this.data = [];
  }

  feed(text) {
    const lines = (this.rest + text).split(/\r\n|\n|\r(?!$)/);
    this.rest = lines.pop();
    for (const line of lines) this.line(line);
  }

  line(line) {
    if (line === "") {
      if (this.data.length) this.take(this.kind, this.data.join("\n"));
      this.kind = "message";
      this.data = [];
      return;
    }
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") this.kind = value;
    else if (field === "data") this.data.push(value);
  }
}
