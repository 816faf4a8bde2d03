/** Who was told what, of one topic: when a group has come to rest, and who was disturbed on the way. */
export class Assignment {
  readonly #partitions: number;
  /** By partition. */
  readonly #owners: (string | undefined)[];
  /** Partitions with two owners at once, as far as members of this process say: they say it in order. */
  readonly doubles: string[] = [];
  readonly #held = new Map<string, Set<number>>();
  #unowned: number;
  /** Partitions a member was asked to give back, since `mark`. */
  #asked: { readonly member: string; readonly partition: number }[] = [];
  #atMark = new Map<string, ReadonlySet<number>>();
  #rest: { readonly members: number; readonly done: (at: number, last: string) => void } | undefined;

  constructor(partitions: number) {
    this.#partitions = partitions;
    this.#owners = Array.from({ length: partitions }, () => undefined);
    this.#unowned = partitions;
  }

  /** @param inOrder the word comes from this process; elsewhere what is granted may be heard of before who gave it back */
  held(member: string, granted: readonly number[], asked: readonly number[], at: number, inOrder = true): void {
    const holds = this.#held.get(member) ?? new Set<number>();
    this.#held.set(member, holds);
    for (const partition of asked) {
      holds.delete(partition);
      this.#asked.push({ member, partition });
      if (this.#owners[partition] !== member) continue;
      this.#owners[partition] = undefined;
      this.#unowned += 1;
    }
    for (const partition of granted) {
      const owner = this.#owners[partition];
      if (owner === undefined) this.#unowned -= 1;
      else if (inOrder && this.#inOrder.has(owner)) this.doubles.push(`partition ${partition}: ${owner} and ${member}`);
      this.#owners[partition] = member;
      holds.add(partition);
    }
    if (inOrder) this.#inOrder.add(member);
    this.#look(at, member);
  }
  readonly #inOrder = new Set<string>();

  gone(member: string): void {
    for (const partition of this.#held.get(member) ?? []) {
      if (this.#owners[partition] !== member) continue;
      this.#owners[partition] = undefined;
      this.#unowned += 1;
    }
    this.#held.delete(member);
  }

  /** Resolves when each partition has one owner and everybody an even share, with the time of the word that made it so, and whose that was. */
  rest(members: number, timeoutMs: number): Promise<{ readonly at: number; readonly last: string }> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#rest = undefined;
        reject(new Error(`no rest within ${timeoutMs} ms: ${this.#unowned} partitions without an owner, ${this.#held.size} members`));
      }, timeoutMs);
      this.#rest = {
        members,
        done: (at, last) => {
          clearTimeout(timer);
          this.#rest = undefined;
          resolve({ at, last });
        },
      };
    });
  }

  /** What stays is judged from here. */
  mark(): void {
    this.#asked = [];
    this.#atMark = new Map([...this.#held].map(([member, holds]) => [member, new Set(holds)]));
  }

  /** Since `mark`: partitions that were and are in the same hands, and those of them that were asked back in between. */
  stayed(): { readonly judged: number; readonly disturbed: number; readonly moved: number } {
    const stayed = new Set<string>();
    for (const [member, before] of this.#atMark)
      for (const partition of before) if (this.#held.get(member)?.has(partition) === true) stayed.add(`${member} ${partition}`);
    const disturbed = this.#asked.filter(({ member, partition }) => stayed.has(`${member} ${partition}`)).length;
    return { judged: stayed.size, disturbed, moved: this.#partitions - stayed.size };
  }

  #look(at: number, last: string): void {
    const rest = this.#rest;
    if (rest === undefined || this.#unowned > 0 || this.#held.size !== rest.members) return;
    const least = Math.floor(this.#partitions / rest.members);
    for (const holds of this.#held.values()) if (holds.size < least || holds.size > least + 1) return;
    let sum = 0;
    for (const holds of this.#held.values()) sum += holds.size;
    // Heard of in another order than it happened: who gave it back has not said so yet.
    if (sum === this.#partitions) rest.done(at, last);
  }
}
