/** Regular expressions of clients, in RE2 syntax, matched in time linear in the text (ADR 0022). */
export interface Patterns {
  /** Cheap also for what it refuses. */
  compile(pattern: string): CompiledPattern | PatternFault;
}

export interface CompiledPattern {
  /** Steps per character of a text, at most. */
  readonly size: number;
  /** Whether it matches the whole text. */
  matches(text: string): boolean;
  /** Gives back what was kept to match faster. */
  rest(): void;
}

export interface PatternFault {
  readonly why: string;
  /** Where in the pattern, from 0, in UTF-16 code units; undefined: it is about all of it. */
  readonly position: number | undefined;
  /** The fixed limit it is beyond. */
  readonly limit?: string;
}
