import type { MillraceError } from "../../../base/errors.ts";
import type { TopicId } from "../../../base/ids.ts";
import type { Clock } from "../../../base/ports/clock.ts";
import type { CompiledPattern, PatternFault, Patterns } from "../../../base/ports/patterns.ts";
import type { MetadataImage } from "../../../cluster/image.ts";
import { isInternalTopic } from "../../../cluster/internal-topics.ts";
import { invalid } from "../../../consumer-groups/refusals.ts";

/** Patterns that are kept compiled, with what they matched; one that is not has to look at all topics again. */
const KEPT_MAX = 1_000;
/** Steps of matching in one turn: well below a millisecond. Names end a slice, so one name may be beyond it. */
const SLICE_STEPS = 20_000;

interface Known {
  readonly compiled: CompiledPattern | undefined;
  readonly refusal: MillraceError | undefined;
  /** Topics that it matched; some may be gone. */
  matched: TopicId[];
  /** Everything up to this number was looked at. */
  upTo: number;
}

interface Listed {
  /** Topics are numbered as they are seen here. */
  readonly number: number;
  readonly id: TopicId;
  readonly name: string;
}

/**
 * What patterns match of the topics of this broker's metadata. Each topic is matched once with each pattern, the newly made ones when somebody
 * asks; never an internal one. Soft: a matter of this broker alone, and the same on any other.
 */
export class TopicPatterns {
  readonly #image: Pick<MetadataImage, "topics" | "version">;
  readonly #patterns: Patterns;
  readonly #clock: Pick<Clock, "soon">;
  /** Least recently asked for first. */
  readonly #known = new Map<string, Known>();
  #listed: Listed[] = [];
  #numbers = new Map<TopicId, number>();
  #next = 1;
  #version: number | undefined;

  constructor(image: Pick<MetadataImage, "topics" | "version">, patterns: Patterns, clock: Pick<Clock, "soon">) {
    this.#image = image;
    this.#patterns = patterns;
    this.#clock = clock;
  }

  /** INVALID_REQUEST, or undefined. */
  refuse(pattern: string): MillraceError | undefined {
    return this.#of(pattern).refusal;
  }

  /** Whether it matches a name that may be of no topic here. */
  matches(pattern: string, name: string): boolean {
    return !isInternalTopic(name) && this.#of(pattern).compiled?.matches(name) === true;
  }

  /** None by a pattern that is refused. At once, so all topics that it was not matched with yet are: call `ready` before. */
  matching(pattern: string): readonly TopicId[] {
    const known = this.#of(pattern);
    this.#match(known, Number.POSITIVE_INFINITY);
    return known.matched;
  }

  /** Resolves when the pattern was matched with all topics there are: in slices, so that nobody waits for that. */
  async ready(pattern: string): Promise<void> {
    const known = this.#of(pattern);
    while (!this.#match(known, SLICE_STEPS)) await new Promise<void>((resolve) => this.#clock.soon(resolve));
  }

  #of(pattern: string): Known {
    let known = this.#known.get(pattern);
    if (known === undefined) {
      const compiled = this.#patterns.compile(pattern);
      known =
        "why" in compiled
          ? { compiled: undefined, refusal: refusalOf(compiled), matched: [], upTo: 0 }
          : { compiled, refusal: undefined, matched: [], upTo: 0 };
    }
    this.#known.delete(pattern);
    this.#known.set(pattern, known);
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= KEPT_MAX) break;
      this.#known.delete(oldest);
    }
    return known;
  }

  /** @returns whether it was matched with all */
  #match(known: Known, stepsMax: number): boolean {
    this.#list();
    const { compiled } = known;
    if (compiled === undefined) return true;
    if (known.matched.some((id) => !this.#numbers.has(id))) known.matched = known.matched.filter((id) => this.#numbers.has(id));
    const from = this.#after(known.upTo);
    if (from === this.#listed.length) return true;
    let steps = 0;
    for (let at = from; at < this.#listed.length; at += 1) {
      const { number, id, name } = this.#listed[at] as Listed;
      if (steps >= stepsMax) return false;
      steps += compiled.size * name.length;
      if (compiled.matches(name)) known.matched.push(id);
      known.upTo = number;
    }
    compiled.rest();
    return true;
  }

  /** Place of the first topic with a higher number. */
  #after(number: number): number {
    let low = 0;
    for (let high = this.#listed.length; low < high; ) {
      const middle = (low + high) >> 1;
      if ((this.#listed[middle] as Listed).number <= number) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #list(): void {
    const { topics, version } = this.#image;
    if (version === this.#version) return;
    this.#version = version;
    const numbers = new Map<TopicId, number>();
    const came: Listed[] = [];
    for (const { id, name } of topics.values()) {
      if (isInternalTopic(name)) continue;
      const number = this.#numbers.get(id);
      if (number === undefined) came.push({ number: this.#next++, id, name });
      numbers.set(id, number ?? this.#next - 1);
    }
    if (came.length === 0 && numbers.size === this.#numbers.size) return;
    this.#listed = [...this.#listed.filter(({ id }) => numbers.has(id)), ...came];
    this.#numbers = numbers;
  }
}

function refusalOf({ why, position, limit }: PatternFault): MillraceError {
  const where = position === undefined ? "" : ` at position ${position}`;
  return invalid("topic_pattern", `${why}${where}; patterns are of RE2's syntax and match whole names`, {
    ...(position === undefined ? {} : { position: String(position) }),
    ...(limit === undefined ? {} : { limit }),
  });
}
