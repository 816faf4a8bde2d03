/** One thing a check refuses: where, which rule by name, and what to do about it. */
export interface Finding {
  readonly file: string;
  /** From 1; 0 when the file as a whole is meant. */
  readonly line: number;
  readonly rule: string;
  readonly message: string;
}

/** A file as a check sees it: its path from the root of the repository, with forward slashes. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

/** `src/raft/core.ts:12  layers/direction  raft/ may not import broker/ …` */
export function show(finding: Finding): string {
  return `${finding.file}${finding.line > 0 ? `:${finding.line}` : ""}  ${finding.rule}  ${finding.message}`;
}
