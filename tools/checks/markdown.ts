/** The little of Markdown that the docs checks need: headings, links and tables, with code left out. */

export interface Link {
  readonly target: string;
  readonly line: number;
}

/** Lines of a page, with fenced code and inline code blanked, so that what looks like a link inside code is none. */
function proseLines(text: string): string[] {
  let fence: string | undefined;
  return text.split("\n").map((line) => {
    const mark = /^\s*(```+|~~~+)/.exec(line)?.[1];
    if (fence !== undefined) {
      if (mark?.startsWith(fence) === true) fence = undefined;
      return "";
    }
    if (mark !== undefined) {
      fence = mark;
      return "";
    }
    return line.replace(/(`+)(?!`).*?(?<!`)\1(?!`)/g, (code) => " ".repeat(code.length));
  });
}

/** Links and images of a page, in order; reference definitions (`[name]: target`) count too. */
export function linksOf(text: string): Link[] {
  return proseLines(text).flatMap((line, index) =>
    [...line.matchAll(/\]\(\s*<?([^)\s>]+)>?(?:\s+"[^"]*")?\s*\)|^\s*\[[^\]]+\]:\s*(\S+)/g)].map((match) => ({
      target: match[1] ?? match[2] ?? "",
      line: index + 1,
    })),
  );
}

/** Anchors of a page's headings, as GitHub makes them. */
export function anchorsOf(text: string): ReadonlySet<string> {
  const anchors = new Set<string>();
  const blanked = proseLines(text);
  text.split("\n").forEach((line, index) => {
    if (!/^#{1,6}\s/.test(blanked[index] ?? "")) return;
    const slug = line
      .replace(/^#+\s+/, "")
      .replace(/\[([^\]]*)\]\([^)]*\)/g, "$1")
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, "")
      .trim()
      .replace(/\s/g, "-");
    let anchor = slug;
    for (let n = 1; anchors.has(anchor); n++) anchor = `${slug}-${n}`;
    anchors.add(anchor);
  });
  return anchors;
}

export interface Row {
  /** Text of each cell, trimmed; `\|` is a plain bar. */
  readonly cells: readonly string[];
  readonly line: number;
}

/** Rows of every table whose heading row begins with `first`, headings and rulers left out. */
export function tableRows(text: string, first: string): Row[] {
  const rows: Row[] = [];
  let inside = false;
  text.split("\n").forEach((line, index) => {
    if (!line.startsWith("|")) {
      inside = false;
      return;
    }
    const cells = cellsOf(line);
    if (!inside && cells[0] === first) {
      inside = true;
      return;
    }
    if (inside && !cells.every((cell) => /^:?-+:?$/.test(cell))) rows.push({ cells, line: index + 1 });
  });
  return rows;
}

export function cellsOf(line: string): string[] {
  return line
    .trim()
    .replace(/^\||(?<!\\)\|$/g, "")
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim().replaceAll("\\|", "|"));
}

export function toRow(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
}
