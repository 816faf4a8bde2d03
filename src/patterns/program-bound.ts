/**
 * How many instructions a pattern comes to at most, found before it is compiled: repetitions are written out by the compiler, so 20 characters
 * may come to a million instructions and seconds of work. Reads only as much of the syntax as matters: groups, classes, escapes, literals
 * between `\Q` and `\E`, repetitions. Rather too high than too low; what is no pattern at all gets some number.
 */
export function programBound(pattern: string): number {
  /** Instructions of the open groups so far, and of the last atom in each. */
  const open: { all: number; last: number }[] = [{ all: 2, last: 0 }];
  const add = (size: number): void => {
    const group = open.at(-1) as { all: number; last: number };
    group.all += size;
    group.last = size;
  };
  for (let at = 0; at < pattern.length; ) {
    const rest = pattern.slice(at);
    const literal = rest.startsWith("\\Q") ? /^\\Q(.*?)(?:\\E|$)/s.exec(rest) : null;
    if (literal !== null) {
      for (const _ of literal[1] as string) add(1);
      at += literal[0].length;
      continue;
    }
    const repeat = /^(?:[*+?]|\{(\d+)(?:,(\d*))?\})/.exec(rest);
    if (repeat !== null) {
      const group = open.at(-1) as { all: number; last: number };
      const [least, most] = [Number(repeat[1] ?? 1), Number(repeat[2] ?? repeat[1] ?? 1)];
      const size = (group.last + 1) * (Math.max(least, most) + 1);
      group.all += size - group.last;
      group.last = size;
      at += repeat[0].length;
      continue;
    }
    if (rest[0] === "(") open.push({ all: 2, last: 0 });
    else if (rest[0] === ")" && open.length > 1) add((open.pop() as { all: number }).all);
    else add(rest[0] === "|" ? 2 : 1);
    at += atomLength(rest);
  }
  return open.reduce((sum, { all }) => sum + all, 0);
}

/** Characters of a class, an escape, or one. */
function atomLength(rest: string): number {
  if (rest[0] === "\\") return /^\\(?:[pPx]\{[^}]*\}|.)?/s.exec(rest)?.[0].length ?? 1;
  if (rest[0] !== "[") return 1;
  return /^\[\^?\]?(?:\\.|\[:\^?[a-z]+:\]|[^\]\\])*(?:\]|$)/s.exec(rest)?.[0].length ?? 1;
}
