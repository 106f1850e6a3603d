const longest = 255;
// git check-ref-format, rules 3–5 and 8–10: https://git-scm.com/docs/git-check-ref-format
const forbidden = /\.\.|@\{|[ ~^:?*[\\]/;
const unprintable = /[\p{Cc}\p{Cf}]/u;

/**
 * Says whether `ref` is one that a build may be given: git's check-ref-format (one level is enough), at most 255 bytes, no
 * control or format character, and no leading `-`, which a command line would take for an option.
 */
export function isGoodRef(ref: string): boolean {
  if (ref === "" || ref === "@" || ref.startsWith("-") || ref.endsWith(".")) return false;
  if (!ref.isWellFormed() || forbidden.test(ref) || unprintable.test(ref)) return false;
  if (Buffer.byteLength(ref) > longest) return false;
  return ref.split("/").every((part) => part !== "" && !part.startsWith(".") && !part.endsWith(".lock"));
}
