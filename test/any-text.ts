import fc from "fast-check";

/**
 * Well-formed text of any code points, up to `lengthMax` of them: what `fc.string({ unit: "binary" })` draws, without the table of all of
 * Unicode that each process makes for it first, which took longer than the properties that use it.
 */
export function anyText(lengthMax: number): fc.Arbitrary<string> {
  const own = DANGEROUS.filter((name) => name.length <= lengthMax);
  return fc.oneof(
    { weight: 24, arbitrary: fc.string({ unit: codePoint, maxLength: lengthMax }) },
    { weight: 1, arbitrary: fc.constantFrom(...own) },
  );
}

/** Keys that an object has of its own, or that are no keys of it. */
const DANGEROUS = ["", "__proto__", "constructor", "toString", "valueOf", "hasOwnProperty", "length", "then"];

const SURROGATES = { from: 0xd800, to: 0xdfff };
const planes = fc.oneof(
  fc.integer({ min: 0, max: SURROGATES.from - 1 }),
  fc.integer({ min: SURROGATES.to + 1, max: 0xffff }),
  fc.integer({ min: 0x1_0000, max: 0x10_ffff }),
  // What names and keys are mostly made of, and what has a meaning to those who read them.
  fc.integer({ min: 0, max: 0x7f }),
);
const codePoint = planes.map((number) => String.fromCodePoint(number));
