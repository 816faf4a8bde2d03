import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { LogIndex, Offset } from "../../../src/base/ids.ts";
import { newStartOffset, type RetentionPolicy, type RetentionState } from "../../../src/broker/partition/retention.ts";
import type { SegmentSpan } from "../../../src/log/types.ts";

const KEEP: RetentionPolicy = { retentionMs: undefined, retentionBytes: undefined, segmentMs: 1_000 };

/** Segments of ten frames and ten records each, one a second: the first is appended at 0 to 999. */
function segments(count: number, bytes = 100): SegmentSpan[] {
  return Array.from({ length: count }, (_, i) => ({
    lastIndex: (10 * (i + 1)) as LogIndex,
    endOffset: (10 * (i + 1)) as Offset,
    firstAppendTime: 1_000 * i,
    lastAppendTime: 1_000 * i + 999,
    position: bytes,
    damaged: false,
  }));
}

function state(more: Partial<RetentionState> = {}): RetentionState {
  return { segments: segments(4), unwrittenBytes: 0, startOffset: 0 as Offset, replicated: 1_000 as LogIndex, now: 4_000, ...more };
}

describe("retention", () => {
  it("by time lets go of segments whose newest record is too old", () => {
    const policy = { ...KEEP, retentionMs: 2_000 };
    assert.equal(newStartOffset(policy, state({ now: 2_999 })), undefined, "2,000 ms old is not older than 2,000 ms");
    assert.equal(newStartOffset(policy, state({ now: 3_000 })), 10);
    assert.equal(newStartOffset(policy, state({ now: 4_500 })), 20);
  });

  it("by size lets go of segments as long as what is left is at least the size", () => {
    const policy = { ...KEEP, retentionBytes: 200 };
    assert.equal(newStartOffset(policy, state()), 20);
    assert.equal(newStartOffset(policy, state({ unwrittenBytes: 99 })), 20);
    assert.equal(newStartOffset(policy, state({ unwrittenBytes: 100 })), 30);
    assert.equal(newStartOffset({ ...KEEP, retentionBytes: 301 }, state()), undefined);
  });

  it("judges the age of what is damaged by what stands behind it, and keeps it while that is not known", () => {
    const policy = { ...KEEP, retentionMs: 2_000 };
    // A lost file says nothing of its times: 1970, if one believed it.
    const lost = { firstAppendTime: 0, lastAppendTime: 0, position: 0, damaged: true };
    const gap = segments(4).map((one, i) => (i === 0 || i === 1 ? { ...one, ...lost } : one));
    assert.equal(newStartOffset(policy, state({ segments: gap, now: 4_000 })), undefined, "the third began 2,000 ms ago");
    assert.equal(newStartOffset(policy, state({ segments: gap, now: 4_001 })), 20, "older than it are both");
    const end = segments(4).map((one, i) => (i > 1 ? { ...one, ...lost } : one));
    assert.equal(newStartOffset(policy, state({ segments: end, now: 100_000 })), 20);
    const empty = segments(2).map((one, i) =>
      i === 0 ? { ...one, ...lost } : { ...one, firstAppendTime: 0, lastAppendTime: 0, position: 0 },
    );
    assert.equal(newStartOffset(policy, state({ segments: empty, now: 100_000 })), undefined, "nothing stands behind it yet");
    assert.equal(newStartOffset({ ...KEEP, retentionBytes: 101 }, state({ segments: gap })), 20, "by size, what is missing counts nothing");
  });

  it("goes by whichever is reached first", () => {
    assert.equal(newStartOffset({ ...KEEP, retentionMs: 2_000, retentionBytes: 200 }, state({ now: 3_500 })), 20);
    assert.equal(newStartOffset({ ...KEEP, retentionMs: 2_000, retentionBytes: 200 }, state({ now: 5_500 })), 30);
  });

  it("keeps the active segment, unless it is as old as a segment may become", () => {
    const policy = { ...KEEP, retentionMs: 100 };
    assert.equal(newStartOffset({ ...policy, segmentMs: 60_000 }, state({ now: 50_000 })), 30);
    assert.equal(newStartOffset({ ...policy, segmentMs: 60_000 }, state({ now: 63_000 })), 40);
  });

  it("never takes anything by age while the clock is not trusted, and goes on by size", () => {
    assert.equal(newStartOffset({ ...KEEP, retentionMs: 1 }, state({ now: undefined })), undefined);
    assert.equal(newStartOffset({ ...KEEP, retentionMs: 1, retentionBytes: 200 }, state({ now: undefined })), 20);
    assert.equal(
      newStartOffset({ ...KEEP, retentionBytes: 0 }, state({ now: undefined })),
      30,
      "nor is it known that the active one is old",
    );
  });

  it("leaves what a follower does not have yet", () => {
    assert.equal(newStartOffset({ ...KEEP, retentionMs: 0 }, state({ now: 9_999, replicated: 19 as LogIndex })), 10);
  });

  it("says nothing when the log begins there, or later", () => {
    const policy = { ...KEEP, retentionBytes: 200 };
    assert.equal(newStartOffset(policy, state({ startOffset: 20 as Offset })), undefined);
    assert.equal(newStartOffset(policy, state({ startOffset: 25 as Offset })), undefined);
    assert.equal(newStartOffset(policy, state({ startOffset: 19 as Offset })), 20);
    assert.equal(newStartOffset(policy, state({ segments: [] })), undefined);
  });

  it("removes a prefix, of nothing younger and to no less than the policy keeps (L15)", () => {
    const log = fc
      .array(fc.record({ records: fc.integer({ min: 1, max: 5 }), bytes: fc.nat(50), gap: fc.nat(30), length: fc.nat(30) }), {
        maxLength: 8,
      })
      .map((parts) => {
        let time = 0;
        let end = 0;
        return parts.map(({ records, bytes, gap, length }, i): SegmentSpan => {
          const first = time + gap;
          time = first + length;
          end += records;
          return {
            lastIndex: (10 * (i + 1)) as LogIndex,
            endOffset: end as Offset,
            firstAppendTime: first,
            lastAppendTime: time,
            position: bytes,
            damaged: false,
          };
        });
      });
    const policies = fc.record({
      retentionMs: fc.option(fc.nat(200), { nil: undefined }),
      retentionBytes: fc.option(fc.nat(200), { nil: undefined }),
      segmentMs: fc.integer({ min: 1, max: 100 }),
    });
    const rest = fc.record({
      unwrittenBytes: fc.nat(60),
      startOffset: fc.nat(20).map((n) => n as Offset),
      replicated: fc.nat(100).map((n) => n as LogIndex),
      now: fc.option(fc.nat(600), { nil: undefined }),
    });
    let found = 0;
    fc.assert(
      fc.property(log, policies, rest, (spans, policy, more) => {
        const start = newStartOffset(policy, { ...more, segments: spans });
        if (start === undefined) return;
        found += 1;
        assert.ok(start > more.startOffset);
        const at = spans.findLastIndex((span) => span.endOffset === start && span.lastIndex <= more.replicated);
        assert.ok(at >= 0, "it is the end of a segment that every follower has");
        const gone = spans.slice(0, at + 1);
        const left = spans.slice(at + 1).reduce((sum, span) => sum + span.position, more.unwrittenBytes);
        for (const [i, span] of gone.entries()) {
          const after = spans.slice(i + 1).reduce((sum, one) => sum + one.position, more.unwrittenBytes);
          const old = policy.retentionMs !== undefined && more.now !== undefined && span.lastAppendTime < more.now - policy.retentionMs;
          assert.ok(old || (policy.retentionBytes !== undefined && after >= policy.retentionBytes), "each had a reason to go");
        }
        if (at === spans.length - 1) assert.ok((more.now ?? 0) >= (spans.at(-1)?.firstAppendTime ?? 0) + policy.segmentMs);
        assert.ok(left >= 0);
      }),
    );
    assert.ok(found > 5, `${found} trims: the property tests nothing`);
  });
});
