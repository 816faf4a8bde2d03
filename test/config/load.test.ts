import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { defaultLimits, defaultLogOptions, defaultTimings, defaultTopicDefaults } from "../../src/base/broker-config.ts";
import { defaultGroupSettings } from "../../src/base/group-settings.ts";
import { nearest } from "../../src/cluster/nearest.ts";
import { ConfigError } from "../../src/config/config-error.ts";
import { describeConfig } from "../../src/config/describe.ts";
import { type ConfigSources, loadConfig } from "../../src/config/load.ts";
import { environmentName, settingKeys } from "../../src/config/table.ts";
import { formatBytes, formatMilliseconds, parseBytes, parseMilliseconds } from "../../src/config/units.ts";

const needed = { "broker.id": "1", data: "/var/lib/millrace", "cluster.seeds": "1@127.0.0.1:7401" };
const load = (flags: Record<string, string | undefined>, rest: Omit<ConfigSources, "flags"> = {}) =>
  loadConfig({ flags: { ...needed, ...flags }, ...rest });

/** All problems of a refused configuration, as "key: message". */
function problems(run: () => unknown): readonly string[] {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof ConfigError, `${error}`);
    return error.problems.map(({ key, message }) => `${key}: ${message}`);
  }
  return assert.fail("the configuration was accepted");
}

describe("loadConfig", () => {
  it("makes the default broker from the three required keys", () => {
    const { broker, data, adminListen, log, warnings } = load({});
    assert.equal(data, "/var/lib/millrace");
    assert.deepEqual(broker, {
      brokerId: 1,
      seeds: [{ id: 1, address: "127.0.0.1:7401" }],
      join: undefined,
      rack: undefined,
      listen: "127.0.0.1:7400",
      advertise: "127.0.0.1:7400",
      peerListen: "127.0.0.1:7401",
      peerAdvertise: "127.0.0.1:7401",
      timings: defaultTimings,
      limits: defaultLimits,
      log: defaultLogOptions,
      topicDefaults: defaultTopicDefaults,
      groups: defaultGroupSettings,
    });
    assert.equal(adminListen, "127.0.0.1:7402");
    assert.deepEqual(log, { level: "info", output: "stderr" });
    assert.deepEqual(warnings, []);
  });

  it("names every missing key", () => {
    const found = problems(() => loadConfig({}));
    assert.deepEqual(
      found.map((problem) => problem.split(":")[0]),
      ["broker.id", "data", "cluster.seeds"],
    );
  });

  it("lets flags win over the environment, and the environment over the file", () => {
    const file = { name: "broker.yaml", text: "rack: from-file\nheartbeat.ms: 200\nsegment.bytes: 32MiB\n" };
    const env = { MILLRACE_RACK: "from-env", MILLRACE_HEARTBEAT_MS: "150ms", PATH: "/bin", MILLRACE_BROKERS: "127.0.0.1:7400" };
    const { broker, values } = load({ rack: "from-flag" }, { env, file });
    assert.equal(broker.rack, "from-flag");
    assert.equal(broker.timings.heartbeatMs, 150);
    assert.equal(broker.log.segmentBytes, 32 * 1024 * 1024);
    assert.equal(values.sourceOf("rack"), "flag");
    assert.equal(values.sourceOf("heartbeat.ms"), "environment");
    assert.equal(values.sourceOf("segment.bytes"), "broker.yaml line 3");
    assert.equal(values.sourceOf("wal.files.max"), "default");
  });

  it("reads lists of a file as the flag writes them", () => {
    const text = "cluster.seeds:\n  - 1@127.0.0.1:7401\n  - 2@127.0.0.1:7411\n  - 3@127.0.0.1:7421\n";
    const { broker } = loadConfig({ flags: { "broker.id": "1", data: "/d" }, file: { name: "f", text } });
    assert.deepEqual(
      broker.seeds.map(({ id }) => id),
      [1, 2, 3],
    );
  });

  it("refuses an unknown key wherever it stands, with the nearest known one (case 54)", () => {
    assert.deepEqual(
      problems(() =>
        load({ "max.mesage.bytes": "1MiB" }, { env: { MILLRACE_SEGMENT_BYTE: "1" }, file: { name: "f", text: "hartbeat.ms: 1" } }),
      ),
      [
        "hartbeat.ms: is not a setting; did you mean heartbeat.ms?",
        "MILLRACE_SEGMENT_BYTE: is not a setting; did you mean MILLRACE_SEGMENT_BYTES?",
        "max.mesage.bytes: is not a setting; did you mean max.message.bytes?",
      ],
    );
    for (const key of ["__proto__", "constructor", "toString"]) {
      const flags = Object.fromEntries([...Object.entries(needed), [key, "x"]]);
      assert.deepEqual(
        problems(() => loadConfig({ flags })),
        [`${key}: is not a setting`],
      );
    }
  });

  it("refuses a bad unit, a value out of range, and text that is none, naming the key (case 54)", () => {
    const bad: Record<string, string> = {
      "max.message.bytes": "1 parsec",
      "segment.bytes": "12",
      "heartbeat.ms": "-5",
      "forward.wait.ms": "1MiB",
      "wal.files.max": "3.5",
      listen: "localhost",
      "log.level": "loud",
      "insecure.listen": "maybe",
      rack: "a\nb",
      "cluster.seeds": "1@127.0.0.1:1,2@127.0.0.1:2",
    };
    const found = problems(() => load(bad));
    assert.deepEqual(
      found.map((problem) => problem.split(":")[0]),
      Object.keys({ ...needed, ...bad }).filter((key) => key in bad),
    );
  });

  it("refuses two seeds of one id or address, and seeds nobody can connect to", () => {
    for (const seeds of ["1@a:1,1@b:1,3@c:1", "1@a:1,2@a:1,3@c:1", "1@a:0", "0@a:1", "a:1", "1@a:1,", ""]) {
      const [first, ...rest] = problems(() => load({ "cluster.seeds": seeds }));
      assert.match(first ?? "", /^cluster\.seeds: /, seeds);
      assert.deepEqual(rest, []);
    }
  });

  it("refuses values that are right alone and wrong together (case 54)", () => {
    const conflicts: [string, Record<string, string>][] = [
      ["heartbeat.ms", { "heartbeat.ms": "500" }],
      ["election.min.ms", { "election.min.ms": "1000" }],
      ["election.max.ms", { "election.max.ms": "10s" }],
      ["max.message.bytes", { "max.message.bytes": "2MiB", "stream.credit.bytes": "1MiB" }],
      ["stream.credit.bytes", { "stream.credit.bytes": "8MiB", "stream.pending.max.bytes": "4MiB" }],
      ["cluster.join", { "broker.id": "7" }],
      ["peer.listen", { "peer.listen": "127.0.0.1:7400" }],
    ];
    for (const [key, flags] of conflicts) {
      const [first, ...rest] = problems(() => load(flags));
      assert.ok(first?.startsWith(`${key}: `), `${key}: ${first}`);
      assert.deepEqual(rest, []);
    }
    assert.equal(load({ "broker.id": "7", "cluster.join": "127.0.0.1:7401" }).broker.join, "127.0.0.1:7401");
  });

  it("keeps listeners on this machine unless told otherwise, and then says so", () => {
    const open = { listen: "0.0.0.0:7400", advertise: "broker-1.example:7400" };
    assert.match(problems(() => load(open))[0] ?? "", /^listen: 0\.0\.0\.0:7400 can be reached .*--insecure-listen/);
    const { warnings, broker } = load({ ...open, "insecure.listen": "true" });
    assert.deepEqual(warnings, [
      "listen 0.0.0.0:7400 can be reached from other machines, without encryption or authentication (--insecure-listen)",
    ]);
    assert.equal(broker.advertise, "broker-1.example:7400");
    assert.match(problems(() => load({ listen: "[::]:7400", "insecure.listen": "true" }))[0] ?? "", /^advertise: must be given/);
    for (const loopback of ["localhost:1", "127.8.8.8:1", "[::1]:1"]) assert.deepEqual(load({ listen: loopback }).warnings, []);
  });

  it("says in which line a file is no configuration", () => {
    const sources = (text: string): readonly string[] => {
      try {
        load({}, { file: { name: "b.yaml", text } });
      } catch (error) {
        assert.ok(error instanceof ConfigError, `${error}`);
        return error.problems.map(({ source, message }) => `${source}: ${message}`);
      }
      return assert.fail(text);
    };
    assert.match(sources("rack: a\nrack: b\n")[0] ?? "", /^b\.yaml line 2: is not YAML/);
    assert.match(sources("rack: {a: b}\n")[0] ?? "", /^b\.yaml line 1: must be a plain value/);
    assert.match(sources("- a\n")[0] ?? "", /must hold "key: value" lines/);
    assert.match(sources("rack:\n")[0] ?? "", /^b\.yaml line 1: must be a plain value/);
    assert.equal(load({}, { file: { name: "empty", text: "# nothing\n" } }).broker.brokerId, 1);
  });

  it("survives any text as a value: accepted or refused by name", () => {
    fc.assert(
      fc.property(fc.constantFrom(...settingKeys), fc.string(), (key, value) => {
        try {
          load({ [key]: value });
        } catch (error) {
          assert.ok(error instanceof ConfigError, `${error}`);
        }
      }),
    );
  });
});

describe("describeConfig", () => {
  it("has a sentence, a range and an environment name of its own for every key", () => {
    const rows = describeConfig();
    assert.equal(rows.length, settingKeys.length);
    assert.equal(new Set(rows.map((row) => row.environment)).size, rows.length);
    for (const row of rows) {
      assert.match(row.doc, /^[A-Z].*\.$/, row.key);
      assert.notEqual(row.range, "", row.key);
      assert.match(row.key, /^[a-z]+(\.[a-z]+)*$/);
    }
  });

  it("puts the unit at the end of the name of every size and time", () => {
    for (const { key, range } of describeConfig()) {
      if (/ (B|KiB|MiB|GiB)\b/.test(range)) assert.match(key, /\.bytes$/);
      if (/ (ms|s|m|h|d)\b/.test(range)) assert.match(key, /\.ms$/);
    }
  });

  it("gives defaults that the loader reads back as the same value", () => {
    for (const row of describeConfig()) {
      if (row.default === undefined) continue;
      const before = load({}).values;
      const after = load({ [row.key]: row.default }).values;
      for (const key of settingKeys) assert.deepEqual(after.find(key), before.find(key), row.key);
    }
  });
});

describe("units", () => {
  it("read what they write", () => {
    fc.assert(
      fc.property(fc.nat(), (n) => {
        assert.equal(parseBytes(formatBytes(n)), n);
        assert.equal(parseMilliseconds(formatMilliseconds(n)), n);
      }),
    );
  });

  it("refuse fractions, signs, exponents and units of another kind", () => {
    for (const text of ["", "-1", "+1", "1e3", "1.5", "0x10", "1 2", "1kb", "1s", "1MB", " ", "NaN", "99999999999999999999"])
      assert.equal(parseBytes(text), undefined, text);
    for (const text of ["1.0005s", "1MiB", "1M", "1 day"]) assert.equal(parseMilliseconds(text), undefined, text);
    assert.equal(parseMilliseconds("1.5s"), 1500);
    assert.equal(parseBytes("0.5KiB"), 512);
  });
});

describe("nearest", () => {
  it("finds a known name after one edit", () => {
    const long = settingKeys.filter((key) => key.length > 8);
    fc.assert(
      fc.property(fc.constantFrom(...long), fc.nat(), (key, at) => {
        const cut = at % key.length;
        assert.equal(nearest(key.slice(0, cut) + key.slice(cut + 1), long), key);
      }),
    );
  });

  it("has no opinion on what resembles nothing", () => {
    assert.equal(nearest("zzzzzzzzzzzz", settingKeys), undefined);
    assert.equal(nearest("x".repeat(10_000), settingKeys), undefined);
  });

  it("knows that environment names follow from keys", () => {
    assert.equal(environmentName("max.message.bytes"), "MILLRACE_MAX_MESSAGE_BYTES");
  });
});
