/** Randomness, seeded in simulation. */
export interface Random {
  /** A whole number in [0, bound); 1 ≤ bound ≤ 2^32. */
  below(bound: number): number;
  /** A fresh uuid (version 4, lower-case with dashes). */
  uuid(): string;
}
