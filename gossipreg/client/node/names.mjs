// The form in which names of services are compared: the letters A to Z in lower case (RFC 4343), all others unchanged.

export function foldName(name) {
  return name.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}
