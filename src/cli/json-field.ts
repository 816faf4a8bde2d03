/**
 * Finds the value of one field of a JSON object in its own text, so that the number 12345678901234567890 keeps all its digits.
 *
 * @returns a string's characters, or a number, `true` or `false` as it is written; of a name given twice the last one;
 *   undefined when the text is no JSON object, or has no such field, or the field is null, an object or a list
 */
export function jsonField(text: string, name: string): string | undefined {
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed) || !Object.hasOwn(parsed, name)) return undefined;
    const value = (parsed as Readonly<Record<string, unknown>>)[name];
    if (typeof value === "string") return value;
    if (typeof value === "boolean") return String(value);
    return typeof value === "number" ? numberText(text, name) : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** `text` is a JSON object whose last field `name` is a number. */
function numberText(text: string, name: string): string | undefined {
  let found: string | undefined;
  let depth = 0;
  let field: string | undefined;
  // Strings, brackets, colons, commas and bare words: all there is in JSON.
  for (const [token] of text.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]|[^\s{}[\],:"]+/gs)) {
    if (token === "{" || token === "[") depth++;
    else if (token === "}" || token === "]") depth--;
    else if (depth === 1 && token === ",") field = undefined;
    else if (depth !== 1 || token === ":") continue;
    else if (field === undefined) field = token;
    else if (JSON.parse(field) === name) found = token;
  }
  return found;
}
