import { readFileSync } from "node:fs";
import { SourceMap, type SourceMapPayload } from "node:module";
import { dirname, relative, resolve } from "node:path";

/**
 * Places in compiled files, said as places in their sources. Node would do the same (`--enable-source-maps`), but for every module of
 * every process as it is loaded; here a map is read when a test has failed.
 */
export class SourcePlaces {
  readonly #maps = new Map<string, SourceMap | undefined>();

  /** A stack, or any text, with the paths of compiled files in it. */
  inText(text: string): string {
    return text.replace(/(?:file:\/\/)?(\/[^\s()'"]+\.js):(\d+):(\d+)/g, (whole, path: string, line: string, column: string) => {
      const found = this.of(path, Number(line), Number(column));
      return found === undefined ? whole : `${found.path}:${found.line}:${found.column}`;
    });
  }

  /** @param line @param column as stacks count them, from 1 @returns undefined for a file that was not compiled */
  of(path: string, line: number, column: number): { readonly path: string; readonly line: number; readonly column: number } | undefined {
    const origin = this.#mapOf(path)?.findEntry(line - 1, column - 1);
    if (origin === undefined || !("originalSource" in origin)) return undefined;
    const source = resolve(dirname(path), origin.originalSource);
    return { path: relative(process.cwd(), source), line: origin.originalLine + 1, column: origin.originalColumn + 1 };
  }

  #mapOf(path: string): SourceMap | undefined {
    if (!this.#maps.has(path)) this.#maps.set(path, readMap(`${path}.map`));
    return this.#maps.get(path);
  }
}

function readMap(path: string): SourceMap | undefined {
  try {
    return new SourceMap(JSON.parse(readFileSync(path, "utf8")) as SourceMapPayload);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
