/** The remote behind a destination, by whose name pauses and circuits are kept: `chat:builds/reply` goes where `chat:builds` goes. */
export function gateOf(destination: string): string {
  const slash = destination.indexOf("/");
  return slash < 0 ? destination : destination.slice(0, slash);
}
