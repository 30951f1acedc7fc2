// The body of a request: bytes and Blobs can be sent again, streams only until their first byte is read.

/**
 * The body of a Request as fetch takes it. init: what the program gave beside the URL; request: the Request that was
 * made of both, which has the Content-Type that the body brings along.
 *
 * Returns {size, canRepeat, open()}: size in bytes, or null if it is not known; open() gives the bytes, or an async
 * iterable of them.
 */
export async function requestBody(init, request) {
  const given = init?.body;
  if (request.body === null) return { size: 0, canRepeat: true, open: () => null };
  if (given instanceof Blob) return { size: given.size, canRepeat: true, open: () => given.stream() };
  if (given === undefined || given === null || isStream(given)) {
    return { size: null, canRepeat: false, open: () => request.body };
  }
  const bytes = Buffer.from(await request.arrayBuffer());
  return { size: bytes.length, canRepeat: true, open: () => bytes };
}

function isStream(body) {
  return body instanceof ReadableStream || typeof body[Symbol.asyncIterator] === "function";
}
